import t from 'tap'
import { reloadUnderLoad } from './fixtures/reload-under-load.ts'

t.test('twenty reloads of one process fail no request', t => reloadUnderLoad(t, 0))
