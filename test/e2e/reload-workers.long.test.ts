import t from 'tap'
import { reloadUnderLoad } from './fixtures/reload-under-load.ts'

t.test('twenty reloads of two workers refuse, reset and fail nothing', t => reloadUnderLoad(t, 2))
