import test from 'ava'
import { type Assignment, type AssignmentChange, changeAssignments } from '../../hub/registry/assignments.ts'

const have = (name: string, more: Partial<Assignment> = {}): Assignment => ({
  name,
  version: 1,
  disabled: false,
  aliases: [],
  routes: null,
  ...more,
})
const change = (more: Partial<AssignmentChange>): AssignmentChange => ({ functions: [], remove: [], routes: {}, ...more })
const refuse = (name: string): void => {
  throw new Error(`missing ${name}`)
}
const version = (name: string, number: number, alias = 'production') => ({ name, alias, version: number, disabled: false })
const test2 = { alias: 'test', version: 2, disabled: false }

test('release of a version leaves the aliases and routes of the function as they are', (t) => {
  const before = [have('f', { aliases: [test2], routes: [{ alias: 'test' }] }), have('g')]
  t.deepEqual(changeAssignments(before, change({ functions: [version('f', 3)] }), refuse), [
    have('f', { version: 3, aliases: [test2], routes: [{ alias: 'test' }] }),
    have('g'),
  ])
})

test('release of what is there already changes nothing, in text as well', (t) => {
  const before = [have('f', { aliases: [test2], routes: [{ alias: 'test', path: '/beta' }] })]
  const same = change({ functions: [version('f', 1), version('f', 2, 'test')], routes: { f: [{ alias: 'test', path: '/beta' }] } })
  t.is(JSON.stringify(changeAssignments(before, same, refuse)), JSON.stringify(before))
})

test('alias and routes of a function without production are told, and left out', (t) => {
  const asked = change({ functions: [version('f', 2, 'test')], routes: { g: [] } })
  const missing: string[] = []
  t.deepEqual(
    changeAssignments([], asked, (name) => missing.push(name)),
    [],
  )
  t.deepEqual(missing, ['f', 'g'])
})

test('production and an alias of it may come in one release, in any order', (t) => {
  const asked = change({ functions: [version('f', 2, 'test'), version('f', 1)], routes: { f: [{ alias: 'test' }] } })
  t.deepEqual(changeAssignments([], asked, refuse), [have('f', { aliases: [test2], routes: [{ alias: 'test' }] })])
})

test('removing an alias leaves production, removing the function takes all of it', (t) => {
  const before = [have('f', { aliases: [test2] })]
  t.deepEqual(changeAssignments(before, change({ remove: ['f@test'] }), refuse), [have('f')])
  t.deepEqual(changeAssignments(before, change({ remove: ['f'] }), refuse), [])
})

test('more than eight aliases of a function are refused', (t) => {
  const many = Array.from({ length: 9 }, (_, i) => version('f', 1, `a${i}`))
  t.throws(() => changeAssignments([have('f')], change({ functions: many }), refuse), { message: /at most 8/ })
})
