import test from 'ava'
import fc from 'fast-check'
import { TopicTree } from '../../adapters/broker/topic-tree.ts'
import { covers } from '../../config/topic-filter.ts'
import { isLoopback, nameFault } from '../../adapters/broker/names.ts'

/** [filter, topic, matches], MQTT 3.1.1 section 4.7. */
const cases: [string, string, boolean][] = [
  ['sport/tennis/player1/#', 'sport/tennis/player1', true],
  ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon', true],
  ['sport/#', 'sport', true],
  ['#', 'a/b', true],
  ['sport/+', 'sport', false],
  ['sport/+', 'sport/', true],
  ['+/+', '/finance', true],
  ['/+', '/finance', true],
  ['+', '/finance', false],
  ['a/+/c', 'a/b/c', true],
  ['a/+/c', 'a/b/d', false],
  ['a//c', 'a//c', true],
  ['#', '$SYS/x', false],
  ['+/x', '$SYS/x', false],
  ['$SYS/#', '$SYS/x', true],
  ['$SYS/+', '$SYS/x', true],
  ['a', 'A', false],
  ['__proto__', '__proto__', true],
]

test('a topic tree finds what the MQTT rules say', (t) => {
  for (const [filter, topic, expected] of cases) {
    const tree = new TopicTree<string>()
    tree.add(filter, 'x')
    t.is(tree.match(topic).length === 1, expected, `${filter} ${topic}`)
    t.is(tree.matches(topic), expected, `${filter} ${topic}`)
  }
})

test('a topic tree is empty after everything is removed, in any order', (t) => {
  const level = fc.constantFrom('a', 'b', '', '+')
  const filter = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'))
  fc.assert(
    fc.property(fc.uniqueArray(filter, { maxLength: 20 }), (filters) => {
      const tree = new TopicTree<string>()
      for (const each of filters) tree.add(each, each)
      t.is(tree.size, filters.length)
      for (const each of filters.toReversed()) tree.remove(each, each)
      t.is(tree.size, 0)
      t.false(tree.matches('a/b'))
    }),
    { seed: 7, numRuns: 200 },
  )
})

test('a pattern that covers a filter matches every topic the filter matches', (t) => {
  const level = fc.constantFrom('a', 'b', '+', '#')
  const filter = fc
    .array(level, { minLength: 1, maxLength: 4 })
    .filter((levels) => levels.every((each, i) => each !== '#' || i === levels.length - 1))
  const topic = fc.array(fc.constantFrom('a', 'b', ''), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(filter, filter, topic, (pattern, asked, levels) => {
      if (covers(pattern, asked) && covers(asked, levels))
        t.true(covers(pattern, levels), `${pattern.join('/')} ${asked.join('/')} ${levels.join('/')}`)
    }),
    { seed: 7, numRuns: 2000 },
  )
  t.true(covers(['a', '#'], ['a', '+', 'c']))
  t.true(covers(['a', '#'], ['a', '#']))
  t.true(covers(['a', '#'], ['a']))
  t.false(covers(['a', '+'], ['a', '#']))
  t.false(covers(['a', 'b'], ['a', '+']))
  t.false(covers(['a', '#'], ['#']))
  t.false(covers(['a', '#'], ['+', 'b']))
})

test('names that could widen a pattern or a topic are refused', (t) => {
  for (const bad of ['a+', '#', 'a/b', '$SYS', 'a\0', 'a\n', '\u007f', '\ufffd', '\ud800', 'x'.repeat(129), 'é'.repeat(65)])
    t.not(nameFault(bad), null, JSON.stringify(bad))
  for (const good of ['', 'pump-1', 'Pumpe Süd', '..', 'x'.repeat(128), 'aedes_0', '%c']) t.is(nameFault(good), null, good)
})

test('loopback is recognised in all its forms', (t) => {
  for (const address of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1']) t.true(isLoopback(address))
  for (const address of ['192.168.0.1', '10.127.0.1', '::ffff:10.0.0.1', '']) t.false(isLoopback(address))
})
