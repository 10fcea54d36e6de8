/** `-n "two words"` to ['-n', 'two words']: Nuclio's shell arguments are one string. Quotes group, nothing else is special. */
export function splitArguments(text: string): string[] {
  return [...text.matchAll(/(?:"([^"]*)"|'([^']*)'|[^\s"']+)+/g)].map(([whole]) => whole.replace(/"([^"]*)"|'([^']*)'/g, '$1$2'))
}
