/** Says when a function's files have changed and have been quiet for a moment: editors write in several steps. */
import { statSync, watch } from 'node:fs'
import { basename, dirname } from 'node:path'

const QUIET_MS = 150
const IGNORED = /(^|\/)(\.git|__pycache__|\.venv|node_modules)(\/|$)|\.(pyc|swp|tmp)$|~$/

export function watchSource(path: string, onChange: () => void): { close(): void } {
  const isFolder = statSync(path).isDirectory()
  let timer: NodeJS.Timeout | undefined
  const watcher = watch(isFolder ? path : dirname(path), { recursive: isFolder }, (_event, name) => {
    if (name === null || IGNORED.test(name) || (!isFolder && name !== basename(path))) return
    clearTimeout(timer)
    timer = setTimeout(onChange, QUIET_MS)
  })
  watcher.on('error', () => {})
  return {
    close() {
      clearTimeout(timer)
      watcher.close()
    },
  }
}
