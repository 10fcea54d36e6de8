/**
 * The agent's socket: `<dataDir>/agent.sock`. The kernel takes at most 107 bytes of path for a Unix socket; a data folder may be
 * deeper. Then its folder is opened and the socket is reached as /proc/self/fd/<n>/agent.sock, for listening and connecting alike.
 */
import { closeSync, openSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** sun_path of Linux, without the final zero. */
const SOCKET_PATH_BYTES_MAX = 107

export const SOCKET_NAME = 'agent.sock'

export const agentSocket = (dataDir: string): string => join(dataDir, SOCKET_NAME)

export interface SocketAddress {
  /** What listen() and connect() take, until `release`. */
  readonly address: string
  /** Once listening or connected, the address is not needed any more. */
  readonly release: () => void
}

export function socketAddress(socket: string): SocketAddress {
  if (Buffer.byteLength(socket) <= SOCKET_PATH_BYTES_MAX) return { address: socket, release() {} }
  let folder: number | undefined = openSync(dirname(socket), 'r')
  return {
    address: `/proc/self/fd/${folder}/${basename(socket)}`,
    release() {
      if (folder !== undefined) closeSync(folder)
      folder = undefined
    },
  }
}
