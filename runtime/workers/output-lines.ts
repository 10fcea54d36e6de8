import type { Readable } from 'node:stream'

/** A line of a worker's stdout or stderr at the most; the rest of a longer one is cut off and said so. */
export const LINE_BYTES_MAX = 8_192

/** Calls `onLine` for each line of text of an output; memory is bounded whatever is written. */
export function forwardLines(output: Readable, onLine: (line: string) => void): void {
  let partial = ''
  let cutting = false
  output.setEncoding('utf8')
  output.on('data', (chunk: string) => {
    let from = 0
    for (let end = chunk.indexOf('\n'); end !== -1; end = chunk.indexOf('\n', from)) {
      if (!cutting) emit(partial + chunk.slice(from, end))
      partial = ''
      cutting = false
      from = end + 1
    }
    if (cutting) return
    partial += chunk.slice(from)
    if (partial.length > LINE_BYTES_MAX) {
      emit(partial.slice(0, LINE_BYTES_MAX) + ' [cut]')
      partial = ''
      cutting = true
    }
  })
  output.on('end', () => {
    if (!cutting && partial !== '') emit(partial)
  })
  output.on('error', () => {})

  function emit(line: string): void {
    const text = line.endsWith('\r') ? line.slice(0, -1) : line
    if (text !== '') onLine(text.length > LINE_BYTES_MAX ? text.slice(0, LINE_BYTES_MAX) + ' [cut]' : text)
  }
}
