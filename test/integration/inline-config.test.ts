/** Nuclio's @nuclio.configure blocks: a handler file that brings its own function.yaml. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { inlineConfig } from '../../agent/source/inline-config.ts'
import { openFunctionSource } from '../../agent/source/function-source.ts'
import { parseFunctionConfig } from '../../config/function-config.ts'
import { tempDir } from '../support/temp-dir.ts'

const PYTHON = `import json
# Copyright: nobody

# @nuclio.configure
#
# build.yaml:
#   commands: [never read]
# function.yaml:
#   apiVersion: "nuclio.io/v1"
#   kind: "NuclioFunction"
#   metadata:
#     name: from-comments
#   spec:
#     runtime: "python:3.9"
#     handler: reverser:turn
#     minReplicas: 2
#     triggers:
#       readings:
#         kind: mqtt
#         attributes: { subscriptions: [{ topic: "in/#", qos: 1 }] }
# other:
#   key: value

def turn(context, event):
    return event.body[::-1]
`

function written(t: ExecutionContext, files: Readonly<Record<string, string>>): string {
  const folder = tempDir(t)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

test('handler file with an @nuclio.configure block is the function that it says', (t) => {
  const path = join(written(t, { 'reverser.py': PYTHON }), 'reverser.py')
  const source = openFunctionSource(path)
  t.teardown(() => source.close())
  t.like(source.config, { name: 'from-comments', runtime: 'python', handler: 'reverser:turn' })
  t.deepEqual(
    source.config.triggers.map(({ name, kind }) => [name, kind]),
    [['readings', 'mqtt']],
  )
  t.deepEqual(source.config.notices, [`${path}:16:7 spec.minReplicas has no effect here: a device does not scale out; see numWorkers`])
  // What is deployed says the same, to a reader that knows nothing of comments.
  const deployed = parseFunctionConfig(readFileSync(join(source.folder, source.configName), 'utf8'), 'function.yaml')
  t.deepEqual({ ...deployed, notices: [] }, { ...source.config, notices: [] })
  t.is(readFileSync(join(source.folder, 'reverser.py'), 'utf8'), PYTHON)
})

test('what the block leaves out is name, runtime and handler of the file, and an http trigger', (t) => {
  const files = {
    'Line_Watch.js': '// @nuclio.configure\n//\n// function.yaml:\n//   spec:\n//     description: watches\nexports.handler = () => {}\n',
    'rev.sh': '#!/bin/sh\n\n#  @nuclio.configure\n#\n# function.yaml:\n#   spec: { description: watches }',
    'Reader.java': '// @nuclio.configure\n//\n// function.yaml:\n//   spec:\n//     description: watches\n\npublic class Reader {}\n',
  }
  const folder = written(t, files)
  const expected = {
    'Line_Watch.js': ['line-watch', 'nodejs', 'Line_Watch:handler'],
    'rev.sh': ['rev', 'shell', 'rev.sh'],
    'Reader.java': ['reader', 'java', 'Reader'],
  }
  for (const [file, [name, runtime, handler]] of Object.entries(expected)) {
    const source = openFunctionSource(join(folder, file))
    t.like(source.config, { name, runtime, handler, description: 'watches' })
    t.like(source.config.triggers, [{ kind: 'http', paths: [`/${name}`] }])
    source.close()
  }
  const renamed = openFunctionSource(join(folder, 'rev.sh'), { name: 'turn' })
  t.like(renamed.config, { name: 'turn', triggers: [{ paths: ['/turn'] }] })
  renamed.close()
})

test('problem in a block is told with line and column of the handler file', (t) => {
  const path = join(written(t, { 'reverser.py': PYTHON.replace('kind: mqtt', 'kind: mqt') }), 'reverser.py')
  const line = PYTHON.slice(0, PYTHON.indexOf('kind: mqtt')).split('\n').length
  t.throws(() => openFunctionSource(path), {
    message: new RegExp(`reverser\\.py:${line}:17 spec\\.triggers\\.readings\\.kind: .*did you mean "mqtt"`),
  })
})

test('folder without function.yaml is the function of the one handler file that has a block', (t) => {
  const folder = written(t, { 'reverser.py': PYTHON, 'words.py': '# no config\n', 'table.csv': 'a,b\n' })
  const source = openFunctionSource(folder)
  t.is(source.config.name, 'from-comments')
  t.is(readFileSync(join(source.folder, 'table.csv'), 'utf8'), 'a,b\n')
  source.close()
  writeFileSync(join(folder, 'second.py'), PYTHON)
  t.throws(() => openFunctionSource(folder), { message: /reverser\.py and second\.py have an @nuclio\.configure block/ })
})

test('comments that are no block are no config', (t) => {
  for (const text of [
    '# @nuclio.configures\n# function.yaml:\n',
    '# @nuclio.configure\n\n# function.yaml:\n#   spec: {}\n',
    '# @nuclio.createFiles\n# function.yaml: {}\n',
    'x = "@nuclio.configure"\n',
  ]) {
    t.is(inlineConfig(text, 'python'), null, text)
  }
  t.is(inlineConfig('// @nuclio.configure\n// function.yaml:\n//   spec: {}\n', 'python'), null)
})
