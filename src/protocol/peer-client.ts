/** Azureus style, `-XX1234-`: clients by their two characters. */
const AZUREUS: Record<string, string> = {
  '7T': 'aTorrent',
  AB: 'AnyEvent::BitTorrent',
  AG: 'Ares',
  AR: 'Arctic Torrent',
  AT: 'Artemis',
  AV: 'Avicora',
  AX: 'BitPump',
  AZ: 'Vuze',
  'A~': 'Ares',
  BB: 'BitBuddy',
  BC: 'BitComet',
  BE: 'Baretorrent',
  BF: 'Bitflu',
  BG: 'BTG',
  BI: 'BiglyBT',
  BL: 'BitCometLite',
  BM: 'BitMagnet',
  BN: 'Baidu Netdisk',
  BO: 'Bitsonar',
  BP: 'BitTorrent Pro',
  BR: 'BitRocket',
  BS: 'BTSlave',
  BT: 'BitTorrent',
  BW: 'BitTorrent Web',
  BX: 'BittorrentX',
  CD: 'Enhanced CTorrent',
  CT: 'CTorrent',
  DE: 'Deluge',
  DP: 'Propagate Data Client',
  EB: 'EBit',
  ES: 'Electric Sheep',
  FC: 'FileCroc',
  FD: 'Free Download Manager',
  FG: 'FlashGet',
  FT: 'FoxTorrent',
  FW: 'FrostWire',
  FX: 'Freebox BitTorrent',
  GR: 'GetRight',
  GS: 'GSTorrent',
  HK: 'Hekate',
  HL: 'Halite',
  HM: 'hMule',
  HN: 'Hydranode',
  IL: 'iLivid',
  JS: 'Justseed.it',
  JT: 'JavaTorrent',
  KG: 'KGet',
  KT: 'KTorrent',
  LC: 'LeechCraft',
  LH: 'LH-ABC',
  LP: 'Lphant',
  LT: 'libtorrent (Rasterbar)',
  LW: 'LimeWire',
  MG: 'MediaGet',
  MK: 'Meerkat',
  MO: 'MonoTorrent',
  MP: 'MooPolice',
  MR: 'Miro',
  MT: 'MoonlightTorrent',
  NB: 'Net::BitTorrent',
  NX: 'Net Transport',
  OS: 'OneSwarm',
  OT: 'OmegaTorrent',
  PB: 'Protocol::BitTorrent',
  PD: 'Pando',
  PI: 'PicoTorrent',
  PT: 'PHPTracker',
  QD: 'QQDownload',
  QT: 'Qt 4 Torrent example',
  RS: 'Rufus',
  RT: 'Retriever',
  RZ: 'RezTorrent',
  SB: 'SwiftBit',
  SD: 'Xunlei',
  SM: 'SoMud',
  SN: 'ShareNET',
  SP: 'BitSpirit',
  SS: 'SwarmScope',
  ST: 'SymTorrent',
  SZ: 'Shareaza',
  TB: 'Torch',
  TE: 'terasaur Seed Bank',
  TL: 'Tribler',
  TN: 'TorrentDotNET',
  TR: 'Transmission',
  TS: 'Torrentstorm',
  TT: 'TuoTu',
  TX: 'Tixati',
  UL: 'uLeecher!',
  UE: 'µTorrent Embedded',
  UM: 'µTorrent Mac',
  UT: 'µTorrent',
  UW: 'µTorrent Web',
  VG: 'Vagaa',
  WD: 'WebTorrent Desktop',
  WS: 'HTTP Seed',
  WT: 'BitLet',
  WW: 'WebTorrent',
  WY: 'FireTorrent',
  XF: 'Xfplay',
  XL: 'Xunlei',
  XS: 'XSwifter',
  XT: 'XanTorrent',
  XX: 'Xtorrent',
  ZO: 'Zona',
  ZT: 'ZipTorrent',
  bk: 'BitKitten',
  lt: 'libTorrent (Rakshasa)',
  pX: 'pHoeniX',
  qB: 'qBittorrent',
  st: 'SharkTorrent',
  tT: 'tTorrent',
}

/**
 * Shadow style: a letter, five characters of a version in base 64, padded with `-`, and three more.
 */
const SHADOW: Record<string, string> = {
  A: 'ABC',
  O: 'Osprey Permaseed',
  Q: 'BTQueue',
  R: 'Tribler',
  S: 'Shadow',
  T: 'BitTornado',
  U: 'UPnP NAT BitTorrent',
}

type Beginnings = readonly (readonly [pattern: RegExp, name: string])[]

/** Peer ids that look like Azureus style but are not. */
const DASHED: Beginnings = [
  [/^-ML\d/, 'MLDonkey'],
  [/^-BOW/, 'Bits on Wheels'],
  [/^-aria2-/, 'aria2'],
  [/^-FG\d/, 'FlashGet'],
  [/^-G3/, 'G3 Torrent'],
]

/** Clients with a style of their own, by the first characters of their peer ids. */
const OTHERS: Beginnings = [
  [/^M\d+-\d+-\d+-/, 'BitTorrent'],
  [/^Q\d+-\d+-\d+-/, 'Queen Bee'],
  [/^XBT\d{3}[d-]/, 'XBT Client'],
  [/^OP\d{4}/, 'Opera'],
  [/^A2-\d+-\d+-/, 'aria2'],
  [/^AZ2500BT/, 'BitTyrant'],
  [/^exbc..LORD/s, 'BitLord'],
  [/^exbc/, 'BitComet'],
  [/^FUTB/, 'BitComet'],
  [/^S3-\d/, 'Amazon S3'],
  [/^10-------/, 'JVtorrent'],
  [/^346-/, 'TorrentTopia'],
  [/^eX/, 'eXeem'],
  [/^Plus/, 'Plus!'],
  [/^turbobt/i, 'TurboBT'],
  [/^btpd/, 'BT Protocol Daemon'],
  [/^LIME/, 'LimeWire'],
  [/^DNA/, 'BitTorrent DNA'],
  [/^Pando/, 'Pando'],
  [/^Mbrst\d/, 'burst!'],
  [/^TIX\d{4}/, 'Tixati'],
  [/^AR\d{3}/, 'Arctic Torrent'],
  [/^Deadman Walking-/, 'Deadman'],
  [/^271-/, 'GreedBT'],
  [/^a00---0/, 'Swarmy'],
  [/^a02---0/, 'Swarmy'],
  [/^T00---0/, 'Teeweety'],
  [/^Ares/, 'Ares'],
]

/**
 * The client's name by its peer id, 40 hex digits (BEP 20). A peer id is an unverified claim.
 * Returns `Unknown` for an unknown one.
 */
export function clientOfPeerId(peerId: string): string {
  const text = Buffer.from(peerId, 'hex').toString('latin1')
  const own = text.startsWith('-') ? DASHED : OTHERS
  const [, azureus] = /^-([A-Za-z0-9~]{2})[\dA-Za-z.]{4}-/.exec(text) ?? []
  const [, shadow] = /^([A-Z])[\dA-Za-z.-]{5}(?:---|\d{3})/.exec(text) ?? []
  return (
    own.find(([pattern]) => pattern.test(text))?.[1] ??
    nameIn(AZUREUS, azureus) ??
    nameIn(SHADOW, shadow) ??
    'Unknown'
  )
}

function nameIn(names: Record<string, string>, key: string | undefined): string | undefined {
  return key !== undefined && Object.hasOwn(names, key) ? names[key] : undefined
}
