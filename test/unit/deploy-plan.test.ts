import test from 'ava'
import { type CurrentFunction, plan } from '../../agent/deploy/plan.ts'
import { isFinal, resume, TRANSITIONS } from '../../agent/deploy/transitions.ts'

const want = (name: string, version: number, disabled = false) => ({ name, version, disabled })

function have(name: string, more: Partial<CurrentFunction> = {}): CurrentFunction {
  return { name, committed: null, active: null, deployment: null, ...more }
}

const rolledBack = (version: number) => ({ version, state: 'rolledback' as const, transitions: 4, error: 'no' })

test('plan of what runs already is empty', (t) => {
  t.deepEqual(plan([want('a', 2)], [have('a', { committed: 2, active: 2 })]), [])
  t.deepEqual(plan([], []), [])
})

test('plan of a new function or another version deploys it', (t) => {
  t.deepEqual(plan([want('a', 1)], []), [{ do: 'deploy', name: 'a', version: 1 }])
  t.deepEqual(plan([want('a', 1)], [have('a', { committed: 2, active: 2 })]), [{ do: 'deploy', name: 'a', version: 1 }])
})

test('plan of a function that is not desired removes it, before anything else', (t) => {
  const steps = plan([want('b', 1)], [have('a', { committed: 2, active: 2 })])
  t.deepEqual(steps, [
    { do: 'remove', name: 'a' },
    { do: 'deploy', name: 'b', version: 1 },
  ])
})

test('plan of a committed function that does not run starts it', (t) => {
  t.deepEqual(plan([want('a', 2)], [have('a', { committed: 2 })]), [{ do: 'activate', name: 'a', version: 2 }])
})

test('plan of a disabled function stops it and keeps it', (t) => {
  t.deepEqual(plan([want('a', 2, true)], [have('a', { committed: 2, active: 2 })]), [{ do: 'disable', name: 'a' }])
  t.deepEqual(plan([want('a', 2, true)], [have('a', { committed: 2 })]), [])
})

test('plan of a version that was rolled back leaves it alone and keeps the old one running', (t) => {
  t.deepEqual(plan([want('a', 3)], [have('a', { committed: 2, active: 2, deployment: rolledBack(3) })]), [])
  t.deepEqual(plan([want('a', 3)], [have('a', { committed: 2, deployment: rolledBack(3) })]), [{ do: 'activate', name: 'a', version: 2 }])
  t.deepEqual(plan([want('a', 3)], [have('a', { deployment: rolledBack(3) })]), [])
})

test('plan of another version than the one under way or rolled back forgets that first', (t) => {
  const fetching = { version: 3, state: 'fetching' as const, transitions: 1 }
  t.deepEqual(plan([want('a', 4)], [have('a', { committed: 2, active: 2, deployment: fetching })]), [{ do: 'forget', name: 'a' }])
  t.deepEqual(plan([want('a', 2)], [have('a', { committed: 2, active: 2, deployment: rolledBack(3) })]), [{ do: 'forget', name: 'a' }])
})

test('transitions lead from every state to an end', (t) => {
  for (const first of Object.keys(TRANSITIONS) as (keyof typeof TRANSITIONS)[]) {
    let state: string = first
    let steps = 0
    while (!isFinal(state as never)) {
      state = TRANSITIONS[state as keyof typeof TRANSITIONS].done
      t.true(++steps < 10)
    }
    t.is(TRANSITIONS[first].failed, 'rolledback')
  }
})

test('resume goes by what is on disk', (t) => {
  t.is(resume('probation', { isCurrent: true, isStaged: true }), 'committed')
  t.is(resume('probation', { isCurrent: true, isStaged: false }), 'fetching')
  t.is(resume('staging', { isCurrent: false, isStaged: true }), 'activating')
  t.is(resume('staging', { isCurrent: false, isStaged: false }), 'fetching')
  t.is(resume('fetching', { isCurrent: false, isStaged: true }), 'fetching')
})

test('plan deploys, keeps and removes each alias by itself, and an alias before its function', (t) => {
  const both = { ...want('a', 1), aliases: [{ alias: 'test', version: 2, disabled: false }] }
  t.deepEqual(plan([both], []), [
    { do: 'deploy', name: 'a', version: 1 },
    { do: 'deploy', name: 'a@test', version: 2 },
  ])
  const running = [have('a', { committed: 1, active: 1 }), have('a@test', { committed: 2, active: 2 })]
  t.deepEqual(plan([both], running), [])
  t.deepEqual(plan([both], [have('a', { committed: 1 }), have('a@test', { committed: 2 })]), [
    { do: 'activate', name: 'a@test', version: 2 },
    { do: 'activate', name: 'a', version: 1 },
  ])
  t.deepEqual(plan([want('a', 1)], running), [{ do: 'remove', name: 'a@test' }])
  t.deepEqual(plan([], running), [
    { do: 'remove', name: 'a@test' },
    { do: 'remove', name: 'a' },
  ])
  t.deepEqual(plan([{ ...both, disabled: true }], running), [
    { do: 'disable', name: 'a' },
    { do: 'disable', name: 'a@test' },
  ])
  const failed = have('a@test', { committed: 1, active: 1, deployment: rolledBack(2) })
  t.deepEqual(plan([both], [running[0]!, failed]), [], 'what was rolled back under one alias leaves the others alone')
})
