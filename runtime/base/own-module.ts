/**
 * A module of ours that is started by its path (a thread, a process) and not imported: `.ts` from source, `.js` in the packed form.
 * `url` is the caller's import.meta.url, `path` is relative to it and without extension.
 */
export function ownModule(url: string, path: string): URL {
  return new URL(path + (url.endsWith('.ts') ? '.ts' : '.js'), url)
}
