/**
 * The TUF repository as files: N.root.json, N.targets.json, N.snapshot.json and timestamp.json. A numbered file is written before
 * anything names it; renaming timestamp.json is the commit. What no timestamp names is left over from a crash and may be written again.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { makePrivateFolder, readFileIfThere, writeDurably } from '../../runtime/base/durable-file.ts'

const SERVED = /^(?:timestamp|[1-9][0-9]{0,8}\.(?:root|targets|snapshot))\.json$/

export class RepositoryFiles {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  open(): void {
    makePrivateFolder(this.#folder)
  }

  /** The text of a file that a TUF client may ask for, or undefined. */
  read(name: string): string | undefined {
    return SERVED.test(name) ? readFileIfThere(join(this.#folder, name)) : undefined
  }

  write(name: string, text: string): void {
    writeDurably(join(this.#folder, name), text)
  }

  newestRoot(): { version: number; text: string } | undefined {
    let version = 0
    for (const name of readdirSync(this.#folder)) {
      const match = /^([1-9][0-9]{0,8})\.root\.json$/.exec(name)
      if (match) version = Math.max(version, Number(match[1]))
    }
    const text = version > 0 ? this.read(`${version}.root.json`) : undefined
    return text === undefined ? undefined : { version, text }
  }
}
