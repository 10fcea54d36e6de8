import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { OutsideBroker } from '../../config/triggers/outside-broker.ts'
import { InputError } from '../../runtime/base/errors.ts'
import type { Marks } from './marks.ts'
import { readGiven } from './mqtt-transport.ts'

/** `mqtt/client`: what keeps two devices with one host name apart. */
const CLIENT_MARK = 'mqtt/client'
const CLIENT_RANDOM_BYTES = 4

/** The same over restarts: the broker's session hangs on it. */
export async function clientIdOf({ clientId }: OutsideBroker, functionName: string, trigger: string, marks: Marks): Promise<string> {
  if (clientId !== null) return clientId
  let own = await marks.get(CLIENT_MARK)
  if (own === undefined) await marks.set(CLIENT_MARK, (own = randomBytes(CLIENT_RANDOM_BYTES).toString('hex')))
  return `dunlin-${hostname()}-${own}-${functionName}-${trigger}`
}

export interface Login {
  readonly username?: string
  readonly password?: string
}

/** Read for each connection, so that a changed file counts. Rejects with what is missing, never with the secret. */
export async function loginOf({ username, password, usernameFile, passwordFile }: OutsideBroker): Promise<Login> {
  const user = await secret(username, usernameFile)
  const pass = await secret(password, passwordFile)
  return { ...(user === null ? {} : { username: user }), ...(pass === null ? {} : { password: pass }) }
}

async function secret(given: string | null, file: string | null): Promise<string | null> {
  // A file that an editor wrote ends with a newline.
  if (file !== null) return (await readGiven(file)).toString().replace(/\r?\n$/, '')
  const name = /^\$\{(\w+)\}$/.exec(given ?? '')?.[1]
  if (name === undefined) return given
  const value = process.env[name]
  if (value === undefined) {
    throw new InputError('mqtt-variable', `Cannot log in: there is no variable ${name} in the agent's environment`)
  }
  return value
}
