import type { WebsocketConfig } from '../config/config.ts'
import type { WebsocketLimits } from '../frontends/websocket/limits.ts'

/** The section [websocket] in the form that frontends use. */
export function websocketLimits(config: WebsocketConfig): WebsocketLimits {
  return {
    pingInterval: config.ping_interval,
    drainTime: config.drain_time,
    socketsPerAddress: config.sockets_per_address,
    torrentsPerSocket: config.torrents_per_socket,
    torrentsPerAddress: config.torrents_per_address,
    messages: { burst: config.messages_burst, perSecond: config.messages_per_second },
    offers: { burst: config.offers_burst, perSecond: config.offers_per_second },
    offersPerAddress: {
      burst: config.address_offers_burst,
      perSecond: config.address_offers_per_second,
    },
    offersToPeer: { burst: config.peer_offers_burst, perSecond: config.peer_offers_per_second },
    offersToPeerPerAddress: {
      burst: config.peer_address_offers_burst,
      perSecond: config.peer_address_offers_per_second,
    },
    offersAwaited: config.offers_awaited,
    offerTime: config.offer_time,
    descriptionBytes: config.description_size,
    offerBacklog: config.offer_backlog,
    backlog: config.backlog,
  }
}
