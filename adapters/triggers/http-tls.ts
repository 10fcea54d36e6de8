import { readFileSync, unwatchFile, watchFile } from 'node:fs'
import type { Server } from 'node:https'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import type { HttpTlsConfig } from '../../config/http-server.ts'
import { describeError, InputError } from '../../runtime/base/errors.ts'
import type { Logger } from '../../runtime/base/log.ts'

/** Renewed certificates are found by looking: the files are often links that are turned to new files. */
const LOOK_EVERY_MS = 5_000

/** Reads the files and tries them. Throws InputError 'tls-files' that says which one is wrong. */
export function readTlsFiles(config: HttpTlsConfig, setting: string): SecureContextOptions {
  const read = (field: keyof HttpTlsConfig, file: string): Buffer => {
    try {
      return readFileSync(file)
    } catch (cause) {
      throw new InputError('tls-files', `Cannot read ${field} of ${setting}: ${(cause as Error).message}`, {
        cause,
        hint: 'the agent must be able to read it: check the path, its owner and its mode',
      })
    }
  }
  const options: SecureContextOptions = {
    cert: read('certFile', config.certFile),
    key: read('keyFile', config.keyFile),
    ...(config.caFile === null ? {} : { ca: read('caFile', config.caFile) }),
    minVersion: 'TLSv1.2',
  }
  try {
    createSecureContext(options)
  } catch (cause) {
    throw new InputError('tls-files', `Cannot use certFile and keyFile of ${setting}: ${(cause as Error).message}`, {
      cause,
      hint: 'both must be PEM, and the key must be the one that the certificate is for, without a passphrase',
    })
  }
  return options
}

/**
 * Takes up files that have changed, for connections made from then on. Files that do not fit together (one is written before the
 * other) change nothing; the next change is looked at again. Returns what ends it.
 */
export function reloadOnChange(
  server: Server,
  config: HttpTlsConfig,
  setting: string,
  logger: Logger,
  everyMs = LOOK_EVERY_MS,
): () => void {
  const files = [config.certFile, config.keyFile, ...(config.caFile === null ? [] : [config.caFile])]
  const reload = (): void => {
    try {
      server.setSecureContext(readTlsFiles(config, setting))
      logger.info({ certFile: config.certFile }, 'http certificate was read again')
    } catch (error) {
      logger.warn({ error: describeError(error) }, 'http certificate has changed and is not usable, the one before stays')
    }
  }
  for (const file of files) watchFile(file, { interval: everyMs, persistent: false }, reload)
  return () => {
    for (const file of files) unwatchFile(file, reload)
  }
}
