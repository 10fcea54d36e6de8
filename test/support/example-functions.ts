/** Functions that scenarios deploy: files by name. */
export const copyFunction = {
  'function.yaml': `metadata: { name: copy }
spec:
  runtime: python
  handler: main:handler
  triggers:
    readings: { kind: mqtt, attributes: { subscriptions: [{ topic: 'sensors/#', qos: 1 }] } }
`,
  'main.py': `def handler(context, event):\n    context.emit('readings', event.body)\n`,
}
