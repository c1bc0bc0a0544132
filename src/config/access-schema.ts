import { type ListKey, type StringKey, switchedOff, switchedOn } from './key-schema.ts'

function paths(kind: 'announce' | 'scrape'): ListKey {
  return {
    type: 'array',
    items: { type: 'string', format: 'tracker-path' },
    default: [`/${kind}`],
    allowed: `a list of paths of letters, digits and -._~/, each with at most one {key} and one {user_key}, such as ["/${kind}", "/tracker/{key}/${kind}.php"]`,
    description: `Paths of ${kind}s. A path without {key} and {user_key} accepts the keys before it, behind it or, in the form of Torrust-Actix, joined to it: /KEY/${kind}, /KEY/USERKEY/${kind}, /${kind}/KEY, /${kind}/KEY/USERKEY and /KEY/USERKEY${kind}. {key} and {user_key} set the positions of the keys. Where only one of keys and users is enabled, {key} is its key.`,
  }
}

function parameter(description: string): StringKey {
  return {
    type: 'string',
    pattern: '^[A-Za-z0-9_.~-]{0,32}$',
    default: '',
    allowed: 'the name of a query parameter, or ""',
    description,
  }
}

/** Keys of `tracker_config` that set who may announce, and where a request has its keys. */
export const ACCESS_KEYS = {
  whitelist_enabled: switchedOff('Accept announces only for torrents on the whitelist.'),
  blacklist_enabled: switchedOff('Reject announces for torrents on the blacklist.'),
  keys_enabled: switchedOff(
    'Require a tracker key in the path, such as /announce/KEY or /KEY/announce.',
  ),
  users_enabled: switchedOff(
    "Require a user's key in the path, after the tracker key if keys are enabled too. Transferred bytes are added to the user.",
  ),
  users_required: switchedOn(
    'Reject announces without the key of a user, where users are enabled. With false, the behaviour of Torrust-Actix, they are accepted and credited to no user.',
  ),
  refuse_inactive_users: switchedOn(
    'Reject announces of users that are not active. With false, the behaviour of Torrust-Actix, the flag is only stored.',
  ),
  allow_anonymous_scrape: switchedOff(
    'Accept every scrape, where keys or users are enabled, without checking keys. Otherwise a scrape over HTTP needs the keys in its path, and a scrape over UDP has the keys in its options (BEP 41) or those of the last announce from its address.',
  ),
  scrape_needs_key: switchedOn(
    'Reject scrapes without keys, where keys or users are enabled. With false, the behaviour of Torrust-Actix, they are accepted, and the keys of a scrape are checked only if it has any.',
  ),
  announce_paths: paths('announce'),
  scrape_paths: paths('scrape'),
  key_parameter: parameter(
    'Query parameter that has the key if the path has none, such as "passkey" for /announce?passkey=KEY. It is the tracker key, or the user\'s key if only users are enabled.',
  ),
  user_key_parameter: parameter("Query parameter that has the user's key if the path has none."),
  key_format: {
    type: 'string',
    enum: ['hex', 'text'],
    default: 'hex',
    description:
      'Form of keys: "hex" is 40 hexadecimal digits. "text" is 8 to 64 letters, digits and -._~; case matters, except in a key of 40 hexadecimal digits. The database then stores keys as text, regardless of bin_type_hash and bin_type_key.',
  },
} as const
