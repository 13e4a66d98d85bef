'use strict';

// A program that is traced: the instrumentation is loaded first, as its
// documentation says, and the program knows nothing of it.

const { NodeTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-node');
const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http');

const exporter = new InMemorySpanExporter();
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
provider.register();
const instrumentation = new HttpInstrumentation();
instrumentation.setTracerProvider(provider);

const { context, trace } = require('@opentelemetry/api');
const { serve } = require('./support');

serve((req, res) => {
  if (req.url === '/spans') {
    const spans = exporter.getFinishedSpans();
    res.end(JSON.stringify(spans.map((s) => ({
      name: s.name, kind: s.kind, status: s.status.code, parent: s.parentSpanContext ? s.parentSpanContext.spanId : null,
      trace: s.parentSpanContext ? s.spanContext().traceId : null, attributes: Object.fromEntries(Object.entries(s.attributes).map(([name, value]) => [name, String(value)])),
    }))));
    return;
  }
  const outer = trace.getSpan(context.active());
  req.on('data', () => {});
  req.on('end', () => setTimeout(() => {
    const inner = trace.getSpan(context.active());
    res.statusCode = req.url === '/fails' ? 500 : 200;
    res.end(String(inner === outer && outer !== undefined));
  }, 5));
});
