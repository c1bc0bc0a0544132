/** The JSON encoding of OTLP 1.x (opentelemetry-proto). */

/** `STATUS_CODE_ERROR`. */
const STATUS_ERROR = 2
/** `SPAN_KIND_INTERNAL`. */
const KIND_INTERNAL = 1
/** `SEVERITY_NUMBER_ERROR`. */
const SEVERITY_ERROR = 17

export type Attributes = Readonly<Record<string, string | number>>

/** An operation that took some time. */
export type Span = {
  readonly traceId: string
  readonly spanId: string
  readonly name: string
  /** Unix milliseconds. */
  readonly start: number
  readonly end: number
  readonly attributes: Attributes
  /** Undefined if it succeeded. */
  readonly error: string | undefined
}

export type ErrorRecord = {
  /** Unix milliseconds. */
  readonly time: number
  readonly message: string
  readonly attributes: Attributes
}

/** The program that exports. */
export type Source = { readonly serviceName: string; readonly version: string }

/** The body of a request to `/v1/traces`. */
export function otlpTraces(source: Source, spans: readonly Span[]): object {
  return {
    resourceSpans: [
      {
        resource: resourceOf(source),
        scopeSpans: [{ scope: scopeOf(source), spans: spans.map(spanOf) }],
      },
    ],
  }
}

/** The body of a request to `/v1/logs`. */
export function otlpLogs(source: Source, errors: readonly ErrorRecord[]): object {
  const logRecords = errors.map(({ attributes, message, time }) => ({
    timeUnixNano: nanoseconds(time),
    severityNumber: SEVERITY_ERROR,
    severityText: 'ERROR',
    body: { stringValue: message },
    attributes: listOf(attributes),
  }))
  return {
    resourceLogs: [
      { resource: resourceOf(source), scopeLogs: [{ scope: scopeOf(source), logRecords }] },
    ],
  }
}

function spanOf({ attributes, end, error, name, spanId, start, traceId }: Span): object {
  return {
    traceId,
    spanId,
    name,
    kind: KIND_INTERNAL,
    startTimeUnixNano: nanoseconds(start),
    endTimeUnixNano: nanoseconds(end),
    attributes: listOf(attributes),
    status: error === undefined ? {} : { code: STATUS_ERROR, message: error },
  }
}

function resourceOf({ serviceName, version }: Source): object {
  return { attributes: listOf({ 'service.name': serviceName, 'service.version': version }) }
}

function scopeOf({ version }: Source): object {
  return { name: 'muster', version }
}

function listOf(attributes: Attributes): object[] {
  return Object.entries(attributes).map(([key, value]) => ({
    key,
    value: typeof value === 'number' ? { doubleValue: value } : { stringValue: value },
  }))
}

function nanoseconds(unixMillis: number): string {
  return `${unixMillis}000000`
}
