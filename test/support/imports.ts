/**
 * Finds the imports of a TypeScript or JavaScript source: static imports, `export ... from` and `import()` of a string literal.
 * TypeScript 7 has no JS API, so this reads the text itself: comments, strings, templates and regular expressions are skipped,
 * and of the rest only what can be an import is looked at.
 */
export interface Import {
  readonly specifier: string
  readonly line: number
  /** `import type` and `export type`: gone at run time. */
  readonly typeOnly: boolean
  readonly dynamic: boolean
}

interface Token {
  readonly kind: 'word' | 'string' | 'sign'
  readonly text: string
  readonly line: number
}

export function importsOf(source: string): Import[] {
  const tokens = tokensOf(source)
  const imports: Import[] = []
  for (let i = 0; i < tokens.length; i++) {
    const { kind, text, line } = tokens[i]!
    // `x.import` and `{ import: ... }` are names, not imports.
    if (kind !== 'word' || (text !== 'import' && text !== 'export') || tokens[i - 1]?.text === '.') continue
    const next = tokens[i + 1]
    if (text === 'import' && next?.text === '(') {
      const argument = tokens[i + 2]
      if (argument?.kind === 'string' && /^[,)]$/.test(tokens[i + 3]?.text ?? '')) {
        // `import('x')` inside a type (`typeof import('x')`) counts as a type import.
        imports.push({ specifier: argument.text, line, typeOnly: tokens[i - 1]?.text === 'typeof', dynamic: true })
      }
    } else if (text === 'import' && next?.kind === 'string') {
      imports.push({ specifier: next.text, line, typeOnly: false, dynamic: false })
    } else {
      const from = fromClause(tokens, i + 1, text)
      if (from) imports.push({ specifier: from, line, typeOnly: isTypeOnly(tokens, i), dynamic: false })
    }
  }
  return imports
}

/** `import type x from`, `import type { x } from`; but `import type from './x'` imports a value called type. */
function isTypeOnly(tokens: readonly Token[], at: number): boolean {
  return tokens[at + 1]?.text === 'type' && !(tokens[at + 2]?.text === 'from' && tokens[at + 3]?.kind === 'string')
}

/** The specifier of the import or export clause that begins at `at`; null when it is a declaration. */
function fromClause(tokens: readonly Token[], at: number, keyword: string): string | null {
  let depth = 0
  for (let i = at; i < tokens.length; i++) {
    const { kind, text } = tokens[i]!
    if (kind === 'word' && text === 'from' && depth === 0 && tokens[i + 1]?.kind === 'string') return tokens[i + 1]!.text
    if (text === '{') depth++
    else if (text === '}') depth--
    else if (kind === 'sign' && text !== '*' && text !== ',') return null
    else if (kind === 'string' && depth === 0) return null
    // `export const a = ...` and such: only `type`, `*`, braces and (import) names may stand before `from`.
    else if (kind === 'word' && keyword === 'export' && depth === 0 && !/^(type|as)$/.test(text) && tokens[i - 1]?.text !== 'as')
      return null
    if (depth < 0) return null
  }
  return null
}

/** After these a slash divides; after everything else it begins a regular expression. */
const ENDS_VALUE = /^[\w$)\]}]$/
const REGEX_AFTER_WORD = /^(return|typeof|case|in|of|delete|void|throw|new|instanceof|yield|await|else|do)$/

function tokensOf(source: string): Token[] {
  const tokens: Token[] = []
  /** For each open template expression, the braces open inside it. */
  const templates: number[] = []
  let line = 1
  let i = 0

  const skip = (to: number): void => {
    for (; i < to; i++) if (source[i] === '\n') line++
  }
  /** From `i` to the `${` or the closing backquote. */
  const skipTemplate = (): void => {
    for (; i < source.length; i++) {
      if (source[i] === '\n') line++
      else if (source[i] === '\\') i++
      else if (source[i] === '`') return void i++
      else if (source[i] === '$' && source[i + 1] === '{') {
        templates.push(0)
        i += 2
        return
      }
    }
  }

  while (i < source.length) {
    const char = source[i]!
    if (char === '/' && source[i + 1] === '/') skip(indexOr(source, '\n', i))
    else if (char === '/' && source[i + 1] === '*') skip(indexOr(source, '*/', i + 2) + 2)
    else if (char === "'" || char === '"') {
      const end = stringEnd(source, i)
      tokens.push({ kind: 'string', text: source.slice(i + 1, end), line })
      skip(end + 1)
    } else if (char === '`') {
      i++
      skipTemplate()
      tokens.push({ kind: 'sign', text: ')', line })
    } else if (char === '}' && templates.at(-1) === 0) {
      templates.pop()
      i++
      skipTemplate()
      tokens.push({ kind: 'sign', text: ')', line })
    } else if (char === '/' && beginsRegex(tokens)) {
      skip(regexEnd(source, i))
      tokens.push({ kind: 'sign', text: ')', line })
    } else if (/[\w$#]/.test(char)) {
      const word = /^[\w$#]+/.exec(source.slice(i, i + 200))![0]
      tokens.push({ kind: 'word', text: word, line })
      i += word.length
    } else {
      if (!/\s/.test(char)) tokens.push({ kind: 'sign', text: char, line })
      if (templates.length > 0 && char === '{') templates[templates.length - 1]!++
      if (templates.length > 0 && char === '}') templates[templates.length - 1]!--
      skip(i + 1)
    }
  }
  return tokens
}

function beginsRegex(tokens: readonly Token[]): boolean {
  // `a! / b` divides, `!/a/` does not.
  const isAssertion = tokens.at(-1)?.text === '!' && tokens.length > 1 && !beginsRegex(tokens.slice(-2, -1))
  const before = tokens.at(isAssertion ? -2 : -1)
  if (!before) return true
  if (before.kind === 'string') return false
  if (before.kind === 'word') return REGEX_AFTER_WORD.test(before.text)
  return !ENDS_VALUE.test(before.text)
}

function indexOr(source: string, text: string, from: number): number {
  const index = source.indexOf(text, from)
  return index < 0 ? source.length : index
}

function stringEnd(source: string, start: number): number {
  let i = start + 1
  while (i < source.length && source[i] !== source[start] && source[i] !== '\n') i += source[i] === '\\' ? 2 : 1
  return i
}

function regexEnd(source: string, start: number): number {
  let inClass = false
  let i = start + 1
  for (; i < source.length && source[i] !== '\n'; i++) {
    if (source[i] === '\\') i++
    else if (source[i] === '[') inClass = true
    else if (source[i] === ']') inClass = false
    else if (source[i] === '/' && !inClass) break
  }
  return i + 1
}
