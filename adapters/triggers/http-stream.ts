/** Answers that are longer than one wants in memory: a handler's parts, and files. Neither outruns its reader, and neither waits for one that has stopped. */
import { constants } from 'node:fs'
import { open, readlink, realpath, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import type { ServerResponse } from 'node:http'
import { InputError } from '../../runtime/base/errors.ts'
import type { Answer } from '../../runtime/dispatch/delivery.ts'
import type { BodyStream } from '../../runtime/dispatch/body-stream.ts'
import { addHeaders, end, statusOf, type SendOptions } from './http-answer.ts'

const FILE_PART_BYTES = 64 * 1024

/** In chunks, each as it comes. A client that goes away, or takes nothing for `stallTimeoutMs`, ends the handler's generator. */
export function sendStream(response: ServerResponse, head: Answer, body: BodyStream, { extra, stallTimeoutMs }: SendOptions): void {
  const headers: string[] = head.contentType === undefined ? [] : ['content-type', head.contentType]
  addHeaders(headers, head.headers, extra)
  let isEnded = false
  try {
    response.writeHead(statusOf(head.status), headers)
    response.flushHeaders()
  } catch {
    end(response, 500, 'The function answered with a header that is not allowed')
    isEnded = true
  }
  const stalled = new StallTimer(response, stallTimeoutMs)
  const close = (): void => {
    stalled.stop()
    if (!isEnded) body.cancel()
    isEnded = true
  }
  if (response.destroyed || isEnded) {
    isEnded = false
    return close()
  }
  response.on('close', close)
  body.read({
    part(bytes) {
      stalled.begin()
      response.write(bytes, (error) => {
        stalled.done()
        if (!error) body.taken(bytes.length)
      })
    },
    end(error) {
      isEnded = true
      if (error) stalled.whenIdle(() => breakOff(response))
      else response.end()
    },
  })
}

/** Cut off in the middle, an answer must not look complete: the last chunk is missing, or, where there are none, the connection is reset. */
function breakOff(response: ServerResponse): void {
  const { socket } = response
  if (response.chunkedEncoding || !socket || 'encrypted' in socket) response.destroy()
  else socket.resetAndDestroy()
}

/** Runs while something is on its way to the client. */
class StallTimer {
  readonly #response: ServerResponse
  readonly #ms: number
  #timer: NodeJS.Timeout | undefined
  #pending = 0
  #whenIdle: (() => void) | undefined

  constructor(response: ServerResponse, ms: number) {
    this.#response = response
    this.#ms = ms
  }

  begin(): void {
    this.#pending++
    this.#timer ??= setTimeout(() => this.#response.destroy(), this.#ms)
  }

  /** Something arrived; the wait for the rest begins anew. */
  done(): void {
    this.#pending--
    if (this.#pending > 0) return void this.#timer?.refresh()
    this.stop()
    this.#whenIdle?.()
  }

  /** Once nothing is on its way. */
  whenIdle(act: () => void): void {
    if (this.#pending === 0) act()
    else this.#whenIdle = act
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}

/**
 * Opens a file that a handler names, if it is a plain file below `folder`; links that lead out of it are found after opening, when
 * they cannot change any more. Throws InputError 'file-outside' or 'file-missing'.
 */
export async function openFileIn(folder: string, name: string): Promise<{ readonly file: FileHandle; readonly bytes: number }> {
  const outside = new InputError('file-outside', `Cannot send the file ${JSON.stringify(name)}: it is not below ${folder}`)
  if (name.includes('\0')) throw outside
  let file: FileHandle
  try {
    // Not blocked by a pipe that nobody writes to.
    file = await open(path.resolve(folder, name), constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (cause) {
    throw new InputError('file-missing', `Cannot send the file ${JSON.stringify(name)}: ${(cause as NodeJS.ErrnoException).code}`, {
      cause,
    })
  }
  try {
    const real = await readlink(`/proc/self/fd/${file.fd}`)
    const stat = await file.stat()
    if (!stat.isFile() || !real.startsWith(`${await realpath(folder)}/`)) throw outside
    return { file, bytes: stat.size }
  } catch (error) {
    await file.close()
    throw error
  }
}

/** Sends an open file with its length, and closes it. */
export async function sendFile(
  response: ServerResponse,
  answer: Answer,
  { file, bytes }: { readonly file: FileHandle; readonly bytes: number },
  { extra, stallTimeoutMs }: SendOptions,
): Promise<void> {
  const stalled = new StallTimer(response, stallTimeoutMs)
  try {
    const headers = ['content-length', String(bytes), 'content-type', answer.contentType ?? 'application/octet-stream']
    addHeaders(headers, answer.headers, extra)
    response.writeHead(statusOf(answer.status), headers)
    let sent = 0
    while (sent < bytes && !response.destroyed) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(FILE_PART_BYTES, bytes - sent)), 0, null, sent)
      if (bytesRead === 0) break
      sent += bytesRead
      stalled.begin()
      await new Promise<void>((resolve) => response.write(buffer.subarray(0, bytesRead), () => resolve()))
      stalled.done()
    }
    // Shorter than it was when it was opened: the length is out already, so the answer cannot be completed.
    if (sent < bytes) response.destroy()
    else response.end()
  } finally {
    stalled.stop()
    await file.close()
  }
}
