import type { SectionSchema } from './key-schema.ts'

/** Export to OpenTelemetry. */
export const TELEMETRY_SECTION = {
  description:
    'Export of errors, of calls of the admin API and of database writes to an OpenTelemetry collector (OTLP over HTTP, in JSON). Off by default.',
  list: false,
  environment: 'TELEMETRY__',
  restart: 'all',
  keys: {
    endpoint: {
      type: 'string',
      pattern: '^(https?://[!-~]+)?$',
      default: '',
      allowed: 'a URL such as "http://127.0.0.1:4318", or "" to export nothing',
      description:
        'URL of the collector, to which /v1/traces and /v1/logs are added. Empty: nothing is exported.',
    },
    headers: {
      type: 'object',
      additionalProperties: { type: 'string', pattern: '^[ -~]*$' },
      default: {},
      secret: true,
      allowed: 'a table of texts, such as { authorization = "Bearer TOKEN" }',
      description: 'Headers of each request, for a collector that requires a login.',
    },
    service_name: {
      type: 'string',
      pattern: '^[!-~]{1,100}$',
      default: 'muster',
      allowed: 'a name of 1 to 100 characters without spaces',
      description: 'Value of service.name.',
    },
  },
} as const satisfies SectionSchema
