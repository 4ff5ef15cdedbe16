/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Frame -> struct sl_packet. Helper-free: the same code is compiled natively for replay, unit tests and fuzzing. Up to
 * two VLAN tags, IPv4 with options, IPv6 with up to eight extension headers, TCP, UDP, SCTP, ICMP, ICMPv6, fragments,
 * and ICMP errors with the tuple that they quote. Every length is checked; a frame that does not fit gets a drop
 * reason.
 */
#ifndef SLUICE_PARSE_BPF_H
#define SLUICE_PARSE_BPF_H

#include "bpf/abi/drop_reasons.h"
#include "bpf/abi/types.h"

#ifdef __bpf__
#define SL_INLINE static __attribute__((always_inline)) inline
#else
#define SL_INLINE static inline
#endif

enum sl_packet_kind {
  SL_PACKET_IP = 0,      /* to be evaluated by policy */
  SL_PACKET_CONTROL = 1, /* ARP, neighbour discovery, multicast membership: evaluated by bpf/lib/control.bpf.h */
};

/* Kinds of link control, by their claims. */
enum sl_control {
  SL_CONTROL_NONE = 0,
  SL_CONTROL_ARP,       /* the sender has `target` */
  SL_CONTROL_PROBE,     /* ARP without a sender's address: the sender wants to use `target` */
  SL_CONTROL_SOLICIT,   /* neighbour solicitation: claims its source; without one, the sender wants to use `target` */
  SL_CONTROL_ADVERTISE, /* neighbour advertisement: the sender has `target` */
  SL_CONTROL_REPORT,    /* router solicitation, multicast membership report: claims its source */
  SL_CONTROL_ROUTER,    /* the sender is a router: advertisement, redirect, multicast query */
};

enum sl_fragment { SL_FRAGMENT_NONE = 0, SL_FRAGMENT_FIRST = 1, SL_FRAGMENT_LATER = 2 };

/* One direction's addresses and ports as in a header. Network byte order. */
struct sl_tuple {
  struct sl_addr src;
  struct sl_addr dst;
  __be16 src_port;
  __be16 dst_port;
  __u8 protocol;
  __u8 icmp_answer; /* ICMP: a reply to a request of the other end */
  __u8 pad[2];
};

/* Result of parsing a network header. */
struct sl_l3 {
  __u16 l4_offset; /* from the start of the frame */
  __u8 next;       /* protocol at l4_offset */
  __u8 fragment;   /* enum sl_fragment */
  __u8 hop_limit;
  __u8 pad;
  __u16 l4_bytes; /* from l4_offset to the packet's end, by the network header */
};

struct sl_packet {
  struct sl_tuple tuple;
  struct sl_tuple inner; /* of the packet that an ICMP error quotes, in that packet's direction */
  struct sl_addr target; /* the address that link control is about; else not set */
  struct sl_l3 l3;
  struct sl_l3 inner_l3;
  __be32 fragment_id;
  __u32 tcp_end; /* sequence number after the segment, host order */
  __u32 tcp_ack; /* acknowledgement number, host order */
  __u16 l3_offset;
  __u8 ip_version; /* 4 or 6 */
  __u8 kind;       /* enum sl_packet_kind */
  __u8 fragment;   /* enum sl_fragment; that of l3 */
  __u8 tcp_flags;  /* the header's flags byte */
  __u8 icmp_type;
  __u8 icmp_code;
  __u8 is_icmp_error; /* inner is set */
  __u8 has_vlan;
  __u8 truncated;         /* the readable bytes ended too early: the cause of the drop reason, or of no inner */
  __u8 l4_length;         /* of the TCP or UDP header; else 0 */
  __u8 control;           /* enum sl_control */
  __u8 control_ok;        /* has the form that hosts send: lengths, code, options, destination */
  __u8 has_addresses;     /* the addresses in tuple are set, even if the rest is malformed */
  __u8 no_length;         /* IPv4 total length 0: valid only for a GSO packet above 64 KiB */
  __u8 fragment_protocol; /* the same in all fragments of a packet (sl_fragment_hash) */
  __u8 to_group;          /* a frame for several receivers */
};

#define SL_TCP_FIN 0x01
#define SL_TCP_SYN 0x02
#define SL_TCP_RST 0x04
#define SL_TCP_ACK 0x10

#define SL_IPPROTO_ICMP 1
#define SL_IPPROTO_IGMP 2
#define SL_IPPROTO_TCP 6
#define SL_IPPROTO_UDP 17
#define SL_IPPROTO_ICMPV6 58
#define SL_IPPROTO_SCTP 132

#define SL_MAX_VLAN_TAGS 2
#define SL_MAX_EXTENSION_HEADERS 8

#define SL_ETH_LEN 14
#define SL_IPV4_LEN 20
#define SL_IPV6_LEN 40
#define SL_ARP_LEN 28

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SL_HTONS(x) ((__be16)__builtin_bswap16((__u16)(x)))
#define SL_HTONL(x) ((__be32)__builtin_bswap32((__u32)(x)))
#define SL_HTONLL(x) ((__u64)__builtin_bswap64((__u64)(x)))
#define SL_NTOHS(x) ((__u16)__builtin_bswap16((__u16)(x)))
#else
#define SL_HTONS(x) ((__be16)(x))
#define SL_HTONL(x) ((__be32)(x))
#define SL_HTONLL(x) ((__u64)(x))
#define SL_NTOHS(x) ((__u16)(x))
#endif

/* The bytes at `offset`, or null if fewer than `size` can be read. */
SL_INLINE const __u8* sl_bytes_at(const void* data, const void* data_end, __u32 offset, __u32 size) {
  const __u8* p = (const __u8*)data + offset;
  if (p + size > (const __u8*)data_end) return 0;
  return p;
}

/* Words at any address. In BPF they claim alignment, or clang would copy byte by byte; byte stores followed by a word
 * load also defeat store forwarding. */
#ifdef __bpf__
#define SL_WORD_ACCESS(type, name)                                         \
  SL_INLINE type sl_load_##name(const void* p) { return *(const type*)p; } \
  SL_INLINE void sl_store_##name(void* p, type word) { *(type*)p = word; }
#else
#define SL_WORD_ACCESS(type, name)               \
  SL_INLINE type sl_load_##name(const void* p) { \
    type word;                                   \
    __builtin_memcpy(&word, p, sizeof(word));    \
    return word;                                 \
  }                                              \
  SL_INLINE void sl_store_##name(void* p, type word) { __builtin_memcpy(p, &word, sizeof(word)); }
#endif
SL_WORD_ACCESS(__be16, be16)
SL_WORD_ACCESS(__be32, be32)
SL_WORD_ACCESS(__u64, u64)

SL_INLINE __u16 sl_read16(const __u8* p) { return SL_NTOHS(sl_load_be16(p)); }
SL_INLINE __u32 sl_read32(const __u8* p) { return (__u32)sl_read16(p) << 16 | sl_read16(p + 2); }

SL_INLINE void sl_copy_addr(struct sl_addr* to, const void* from) {
  sl_store_u64(to->bytes, sl_load_u64(from));
  sl_store_u64(to->bytes + 8, sl_load_u64((const __u8*)from + 8));
}

SL_INLINE int sl_is_same_addr(const struct sl_addr* a, const struct sl_addr* b) {
  return sl_load_u64(a->bytes + 8) == sl_load_u64(b->bytes + 8) && sl_load_u64(a->bytes) == sl_load_u64(b->bytes);
}

SL_INLINE int sl_is_mapped_ipv4(const struct sl_addr* addr) {
  return !sl_load_be32(addr->bytes) && !sl_load_be32(addr->bytes + 4) &&
         sl_load_be32(addr->bytes + 8) == SL_HTONL(0xffff);
}

/* An IPv4 address, as IPv6 maps it (RFC 4291, 2.5.5.2). */
SL_INLINE void sl_set_ipv4(struct sl_addr* addr, __be32 ipv4) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  const __u64 last = (__u64)ipv4 << 32 | 0xffff0000;
#else
  const __u64 last = 0xffffULL << 32 | ipv4;
#endif
  sl_store_u64(addr->bytes, 0);
  sl_store_u64(addr->bytes + 8, last);
}

SL_INLINE int sl_parse_ipv4(const void* data, const void* data_end, __u32 offset, struct sl_tuple* tuple,
                            struct sl_l3* l3, struct sl_packet* packet) {
  const __u8* ip = sl_bytes_at(data, data_end, offset, SL_IPV4_LEN);
  if (!ip) {
    packet->truncated = 1;
    return SL_DROP_MALFORMED_IPV4;
  }
  __u32 header = (ip[0] & 0x0f) * 4, total = sl_read16(ip + 2);
  if ((ip[0] >> 4) != 4) return SL_DROP_MALFORMED_IPV4;
  sl_set_ipv4(&tuple->src, sl_load_be32(ip + 12));
  sl_set_ipv4(&tuple->dst, sl_load_be32(ip + 16));
  tuple->protocol = ip[9];
  packet->has_addresses = 1;
  if (!total && ip[9] == SL_IPPROTO_TCP) packet->no_length = 1; /* the caller knows whether that is valid */
  if (header < SL_IPV4_LEN || (total < header && !packet->no_length)) return SL_DROP_MALFORMED_IPV4;
  __u16 fragment_field = sl_read16(ip + 6);
  __u16 fragment_offset = fragment_field & 0x1fff;
  l3->fragment = fragment_offset ? SL_FRAGMENT_LATER : (fragment_field & 0x2000) ? SL_FRAGMENT_FIRST : SL_FRAGMENT_NONE;
  l3->hop_limit = ip[8];
  l3->next = ip[9];
  packet->fragment_id = (__be32)sl_load_be16(ip + 4);
  packet->fragment_protocol = ip[9];
  l3->l4_offset = offset + header;
  l3->l4_bytes = total - header;
  return SL_DROP_NONE;
}

/* Hop-by-hop, routing, fragment, AH and destination options. */
SL_INLINE int sl_is_extension(__u8 next) {
  const __u64 extensions = 1ULL << 0 | 1ULL << 43 | 1ULL << 44 | 1ULL << 51 | 1ULL << 60;
  return next < 64 && (extensions >> next & 1);
}

/* Largest offset of a transport header from the start of the frame. */
#define SL_MAX_L4_OFFSET 0x3fff

/*
 * Steps over one extension header. The position is kept in memory, so that the verifier sees the same state at each
 * step and does not explore every combination of headers.
 */
SL_INLINE int sl_step_extension(const void* data, const void* data_end, volatile struct sl_l3* l3,
                                struct sl_packet* packet) {
  __u32 offset = l3->l4_offset & SL_MAX_L4_OFFSET;
  const __u8* header = sl_bytes_at(data, data_end, offset, 8);
  if (!header) {
    packet->truncated = 1;
    return SL_DROP_MALFORMED_IPV6;
  }
  __u32 length = (header[1] + 1) * 8;
  if (l3->next == 51) length = (header[1] + 2) * 4; /* AH: RFC 4302, 2.2 */
  if (l3->next == 44) {                             /* RFC 8200, 4.5 */
    __u16 field = sl_read16(header + 2);
    length = 8;
    packet->fragment_id = sl_load_be32(header + 4);
    if (field & 0xfff8)
      l3->fragment = SL_FRAGMENT_LATER;
    else if (field & 1)
      l3->fragment = SL_FRAGMENT_FIRST;
  }
  if (offset + length > SL_MAX_L4_OFFSET) return SL_DROP_TOO_MANY_HEADERS;
  l3->l4_offset = offset + length;
  l3->next = header[0];
  return SL_DROP_NONE;
}

SL_INLINE int sl_parse_ipv6(const void* data, const void* data_end, __u32 offset, struct sl_tuple* tuple,
                            struct sl_l3* where, struct sl_packet* packet) {
  volatile struct sl_l3* l3 = where;
  const __u8* ip = sl_bytes_at(data, data_end, offset, SL_IPV6_LEN);
  if (!ip) {
    packet->truncated = 1;
    return SL_DROP_MALFORMED_IPV6;
  }
  if ((ip[0] >> 4) != 6) return SL_DROP_MALFORMED_IPV6;
  sl_copy_addr(&tuple->src, ip + 8);
  sl_copy_addr(&tuple->dst, ip + 24);
  packet->has_addresses = 1;
  packet->fragment_protocol = 0; /* RFC 8200, 4.5: source, destination and identification name the packet */
  l3->hop_limit = ip[7];
  l3->next = ip[6];
  l3->l4_offset = offset + SL_IPV6_LEN;
  for (int i = 0; i < SL_MAX_EXTENSION_HEADERS; i++) {
    if (l3->fragment == SL_FRAGMENT_LATER || !sl_is_extension(l3->next)) break;
    int reason = sl_step_extension(data, data_end, l3, packet);
    if (reason) return reason;
  }
  if (l3->fragment != SL_FRAGMENT_LATER && sl_is_extension(l3->next)) return SL_DROP_TOO_MANY_HEADERS;
  tuple->protocol = l3->next;
  l3->l4_bytes = sl_read16(ip + 4) + offset + SL_IPV6_LEN - l3->l4_offset;
  return SL_DROP_NONE;
}

/* RFC 792 and RFC 4443: errors quote the packet that caused them. */
SL_INLINE int sl_is_icmp_error(__u8 protocol, __u8 type) {
  if (protocol == SL_IPPROTO_ICMP) return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
  return type < 128;
}

/* Requests and replies that carry an identifier: echo, timestamp, information, address mask, extended echo (RFC 792,
 * 950, 8335); ICMPv6: echo, node information, extended echo (RFC 4443, 4620, 8335). */
SL_INLINE int sl_is_icmp_answer(__u8 protocol, __u8 type) {
  if (protocol == SL_IPPROTO_ICMP) return type == 0 || type == 14 || type == 16 || type == 18 || type == 43;
  return protocol == SL_IPPROTO_ICMPV6 && (type == 129 || type == 140 || type == 161);
}

SL_INLINE int sl_is_icmp_question(__u8 protocol, __u8 type) {
  if (protocol == SL_IPPROTO_ICMP) return type == 8 || type == 13 || type == 15 || type == 17 || type == 42;
  return protocol == SL_IPPROTO_ICMPV6 && (type == 128 || type == 139 || type == 160);
}

/* Uses the identifier as both ports. */
SL_INLINE void sl_parse_icmp_identifier(const __u8* icmp, struct sl_tuple* tuple) {
  tuple->icmp_answer = sl_is_icmp_answer(tuple->protocol, icmp[0]);
  if (tuple->icmp_answer || sl_is_icmp_question(tuple->protocol, icmp[0]))
    tuple->src_port = tuple->dst_port = sl_load_be16(icmp + 4);
}

/* Neighbour discovery (RFC 4861: hop limit 255) and multicast listener discovery (RFC 2710, 3810: hop limit 1). */
SL_INLINE int sl_is_link_control(__u8 type, __u8 hop_limit) {
  if (type >= 133 && type <= 137) return hop_limit == 255;
  return (type == 130 || type == 131 || type == 132 || type == 143) && hop_limit == 1;
}

/* The group ff02::WORD: all nodes (1), all routers (2) and so on. */
SL_INLINE int sl_is_link_group(const struct sl_addr* addr, __u64 word) {
  return sl_load_u64(addr->bytes) == SL_HTONLL(0xff02ULL << 48) && sl_load_u64(addr->bytes + 8) == SL_HTONLL(word);
}

/* RFC 4291, 2.7.1. */
SL_INLINE int sl_is_solicited_node(const struct sl_addr* group, const struct sl_addr* target) {
  return sl_load_u64(group->bytes) == SL_HTONLL(0xff02ULL << 48) && sl_load_be32(group->bytes + 8) == SL_HTONL(1) &&
         sl_load_be32(group->bytes + 12) == (sl_load_be32(target->bytes + 12) | SL_HTONL(0xff000000));
}

SL_INLINE int sl_is_unspecified(const struct sl_addr* addr) {
  return !sl_load_u64(addr->bytes) && !sl_load_u64(addr->bytes + 8);
}

SL_INLINE int sl_is_multicast6(const struct sl_addr* addr) { return addr->bytes[0] == 0xff; }

SL_INLINE int sl_is_same_mac(const __u8* a, const __u8* b) {
  return sl_load_be32(a) == sl_load_be32(b) && sl_load_be16(a + 4) == sl_load_be16(b + 4);
}

/* Whether a neighbour discovery option has the frame's source MAC address. */
SL_INLINE int sl_is_own_link_option(const __u8* option, __u8 type, const __u8* eth) {
  return option[0] == type && option[1] == 1 && sl_is_same_mac(option + 2, eth + 6);
}

#define SL_ND_NEIGHBOUR 24 /* length of a neighbour solicitation or advertisement without options */
#define SL_ND_OPTION 8     /* length of a link-layer address option, and of RFC 7527's nonce */

/* RFC 4861, 7.1 and 7.2, for messages from a host. */
SL_INLINE void sl_parse_neighbour(const void* data, const void* data_end, __u32 offset, struct sl_packet* packet) {
  const struct sl_tuple* tuple = &packet->tuple;
  const int is_solicit = packet->icmp_type == 135, from_nobody = sl_is_unspecified(&tuple->src);
  const __u8* eth = sl_bytes_at(data, data_end, 0, SL_ETH_LEN);
  const __u8* nd = sl_bytes_at(data, data_end, offset, SL_ND_NEIGHBOUR);
  packet->control = is_solicit ? SL_CONTROL_SOLICIT : SL_CONTROL_ADVERTISE;
  if (!eth || !nd) {
    packet->truncated = 1;
    return;
  }
  sl_copy_addr(&packet->target, nd + 8);
  if (sl_is_multicast6(&packet->target)) return;
  if (packet->l3.l4_bytes == SL_ND_NEIGHBOUR + SL_ND_OPTION) {
    const __u8* option = sl_bytes_at(data, data_end, offset + SL_ND_NEIGHBOUR, SL_ND_OPTION);
    if (!option) {
      packet->truncated = 1;
      return;
    }
    const int is_nonce = from_nobody && option[0] == 14 && option[1] == 1;
    if (!is_nonce && (from_nobody || !sl_is_own_link_option(option, is_solicit ? 1 : 2, eth))) return;
  } else if (packet->l3.l4_bytes != SL_ND_NEIGHBOUR) {
    return;
  }
  if (is_solicit)
    packet->control_ok = sl_is_solicited_node(&tuple->dst, &packet->target) ||
                         (!from_nobody && sl_is_same_addr(&tuple->dst, &packet->target));
  else
    packet->control_ok = !from_nobody && (!sl_is_multicast6(&tuple->dst) || sl_is_link_group(&tuple->dst, 1));
}

SL_INLINE void sl_parse_router_solicitation(const void* data, const void* data_end, __u32 offset,
                                            struct sl_packet* packet) {
  packet->control = SL_CONTROL_REPORT;
  if (!sl_is_link_group(&packet->tuple.dst, 2)) return;
  if (packet->l3.l4_bytes == 8) packet->control_ok = 1;
  if (packet->l3.l4_bytes != 8 + SL_ND_OPTION || sl_is_unspecified(&packet->tuple.src)) return;
  const __u8* eth = sl_bytes_at(data, data_end, 0, SL_ETH_LEN);
  const __u8* option = sl_bytes_at(data, data_end, offset + 8, SL_ND_OPTION);
  if (!eth || !option) {
    packet->truncated = 1;
    return;
  }
  packet->control_ok = sl_is_own_link_option(option, 1, eth);
}

/* RFC 2710 and 3810. */
SL_INLINE void sl_parse_mld(const void* data, const void* data_end, __u32 offset, struct sl_packet* packet) {
  const struct sl_addr* dst = &packet->tuple.dst;
  packet->control = SL_CONTROL_REPORT;
  if (packet->icmp_type == 143) {
    packet->control_ok = sl_is_link_group(dst, 0x16) && packet->l3.l4_bytes >= 8 + 20;
    return;
  }
  const __u8* mld = sl_bytes_at(data, data_end, offset, 24);
  if (!mld) {
    packet->truncated = 1;
    return;
  }
  sl_copy_addr(&packet->target, mld + 8);
  if (packet->l3.l4_bytes != 24 || !sl_is_multicast6(&packet->target)) return;
  packet->control_ok = packet->icmp_type == 131 ? sl_is_same_addr(dst, &packet->target) : sl_is_link_group(dst, 2);
}

/* ICMPv6 link control. It may not be fragmented (RFC 6980), and has no extension headers except MLD's router alert. */
SL_INLINE void sl_parse_control6(const void* data, const void* data_end, __u32 offset, struct sl_packet* packet) {
  const __u32 extensions = packet->l3.l4_offset - packet->l3_offset - SL_IPV6_LEN;
  const __u8 type = packet->icmp_type;
  packet->kind = SL_PACKET_CONTROL;
  if (type == 134 || type == 137 || type == 130)
    packet->control = SL_CONTROL_ROUTER;
  else if (type == 135 || type == 136)
    sl_parse_neighbour(data, data_end, offset, packet);
  else if (type == 133)
    sl_parse_router_solicitation(data, data_end, offset, packet);
  else
    sl_parse_mld(data, data_end, offset, packet);
  if (packet->icmp_code || extensions != (packet->control == SL_CONTROL_REPORT && type != 133 ? 8 : 0))
    packet->control_ok = 0;
}

/* IGMP on the link (RFC 2236, 3376). Policy is evaluated for other IGMP. */
SL_INLINE void sl_parse_igmp(const void* data, const void* data_end, __u32 offset, struct sl_packet* packet) {
  const __be32 dst = sl_load_be32(packet->tuple.dst.bytes + 12);
  const __u8* igmp = sl_bytes_at(data, data_end, offset, 8);
  if (!igmp) packet->truncated = 1;
  if (!igmp || packet->l3.hop_limit != 1 || packet->tuple.dst.bytes[12] >> 4 != 0xe) return;
  const __be32 group = sl_load_be32(igmp + 4);
  packet->kind = SL_PACKET_CONTROL;
  packet->control = igmp[0] == 0x11 ? SL_CONTROL_ROUTER : SL_CONTROL_REPORT;
  if (igmp[0] == 0x22)
    packet->control_ok = dst == SL_HTONL(0xe0000016) && packet->l3.l4_bytes >= 8 + 8;
  else if (igmp[0] == 0x17)
    packet->control_ok = dst == SL_HTONL(0xe0000002) && packet->l3.l4_bytes == 8;
  else if (igmp[0] == 0x12 || igmp[0] == 0x16)
    packet->control_ok = dst == group && packet->l3.l4_bytes == 8;
}

/* RFC 826, for IPv4 over Ethernet; probes are those of RFC 5227. */
SL_INLINE void sl_parse_arp(const void* data, const void* data_end, __u32 offset, struct sl_packet* packet) {
  const __u8* eth = sl_bytes_at(data, data_end, 0, SL_ETH_LEN);
  const __u8* arp = sl_bytes_at(data, data_end, offset, SL_ARP_LEN);
  packet->kind = SL_PACKET_CONTROL;
  packet->control = SL_CONTROL_ARP;
  if (!eth || !arp) {
    packet->truncated = 1;
    return;
  }
  const __u16 operation = sl_read16(arp + 6);
  const __be32 sender = sl_load_be32(arp + 14);
  if (!sender) packet->control = SL_CONTROL_PROBE;
  sl_set_ipv4(&packet->target, sender ? sender : sl_load_be32(arp + 24));
  packet->l3.l4_offset = offset + SL_ARP_LEN;
  packet->control_ok = sl_load_be32(arp) == SL_HTONL(0x00010800) && sl_load_be16(arp + 4) == SL_HTONS(0x0604) &&
                       sl_is_same_mac(arp + 8, eth + 6) && (operation == 1 || (operation == 2 && sender));
}

/* The quoted packet: its addresses and, if 8 bytes of its transport header are present, its ports. */
SL_INLINE void sl_parse_inner(const void* data, const void* data_end, __u32 offset, struct sl_packet* packet) {
  struct sl_tuple* inner = &packet->inner;
  struct sl_l3* l3 = &packet->inner_l3;
  const __be32 outer_id = packet->fragment_id;
  const __u8 outer_protocol = packet->fragment_protocol;
  int reason = packet->tuple.protocol == SL_IPPROTO_ICMP ? sl_parse_ipv4(data, data_end, offset, inner, l3, packet)
                                                         : sl_parse_ipv6(data, data_end, offset, inner, l3, packet);
  packet->fragment_id = outer_id;
  packet->fragment_protocol = outer_protocol;
  packet->no_length = 0;
  inner->src_port = inner->dst_port = 0;
  inner->icmp_answer = 0;
  if (reason || l3->fragment == SL_FRAGMENT_LATER) return;
  const __u8* l4 = sl_bytes_at(data, data_end, l3->l4_offset & SL_MAX_L4_OFFSET, 8);
  if (!l4) {
    packet->truncated = 1;
    return;
  }
  if (inner->protocol == SL_IPPROTO_TCP || inner->protocol == SL_IPPROTO_UDP || inner->protocol == SL_IPPROTO_SCTP) {
    inner->src_port = sl_load_be16(l4);
    inner->dst_port = sl_load_be16(l4 + 2);
  } else if (inner->protocol == SL_IPPROTO_ICMP || inner->protocol == SL_IPPROTO_ICMPV6) {
    sl_parse_icmp_identifier(l4, inner);
  }
  packet->is_icmp_error = 1;
}

/* How many sequence numbers a segment uses (RFC 9293, 3.4). Without a length, as if it had no payload. */
SL_INLINE __u32 sl_tcp_space(const struct sl_packet* packet) {
  const __u32 bytes = packet->no_length ? 0 : packet->l3.l4_bytes, header = packet->l4_length;
  return (bytes > header ? bytes - header : 0) + !!(packet->tcp_flags & SL_TCP_SYN) +
         !!(packet->tcp_flags & SL_TCP_FIN);
}

SL_INLINE int sl_parse_l4(const void* data, const void* data_end, __u32 offset, struct sl_packet* packet) {
  struct sl_tuple* tuple = &packet->tuple;
  const struct sl_l3* l3 = &packet->l3;
  if (tuple->protocol == SL_IPPROTO_TCP || tuple->protocol == SL_IPPROTO_UDP || tuple->protocol == SL_IPPROTO_SCTP) {
    __u32 need = tuple->protocol == SL_IPPROTO_TCP ? 20 : tuple->protocol == SL_IPPROTO_UDP ? 8 : 12;
    const __u8* l4 = sl_bytes_at(data, data_end, offset, 8);
    if (!l4 || !sl_bytes_at(data, data_end, offset, need)) {
      packet->truncated = 1;
      return SL_DROP_MALFORMED_L4;
    }
    tuple->src_port = sl_load_be16(l4);
    tuple->dst_port = sl_load_be16(l4 + 2);
    if (tuple->protocol == SL_IPPROTO_TCP) {
      const __u8* tcp = sl_bytes_at(data, data_end, offset, 20);
      if (!tcp || (tcp[12] >> 4) < 5) return SL_DROP_MALFORMED_L4;
      packet->tcp_flags = tcp[13];
      packet->l4_length = (tcp[12] >> 4) * 4;
      packet->tcp_ack = sl_read32(tcp + 8);
      packet->tcp_end = sl_read32(tcp + 4) + sl_tcp_space(packet);
    } else if (tuple->protocol == SL_IPPROTO_UDP) {
      packet->l4_length = 8;
    }
    return SL_DROP_NONE;
  }
  if (tuple->protocol == SL_IPPROTO_ICMP || tuple->protocol == SL_IPPROTO_ICMPV6) {
    const __u8* icmp = sl_bytes_at(data, data_end, offset, 8);
    if (!icmp) {
      /* Some ICMPv6 messages have only 4 bytes, but none that matters here. */
      packet->truncated = 1;
      return SL_DROP_MALFORMED_L4;
    }
    packet->icmp_type = icmp[0];
    packet->icmp_code = icmp[1];
    if (tuple->protocol == SL_IPPROTO_ICMPV6 && packet->ip_version == 6 && !packet->fragment &&
        sl_is_link_control(icmp[0], l3->hop_limit)) {
      sl_parse_control6(data, data_end, offset, packet);
    } else if (sl_is_icmp_error(tuple->protocol, icmp[0])) {
      sl_parse_inner(data, data_end, offset + 8, packet);
    } else {
      sl_parse_icmp_identifier(icmp, tuple);
    }
    /* Redirect (RFC 792) and router advertisement (RFC 1256). */
    if (tuple->protocol == SL_IPPROTO_ICMP && (icmp[0] == 5 || icmp[0] == 9)) packet->control = SL_CONTROL_ROUTER;
  } else if (tuple->protocol == SL_IPPROTO_IGMP && packet->ip_version == 4 && !packet->fragment) {
    sl_parse_igmp(data, data_end, offset, packet);
  }
  return SL_DROP_NONE;
}

/* Before each parse: resets the fields that sl_parse sets only for some packets. All others are set before they are
 * read. */
SL_INLINE void sl_reset_packet(struct sl_packet* packet) {
  packet->tuple.src_port = packet->tuple.dst_port = 0;
  packet->tuple.icmp_answer = 0;
  __builtin_memset(&packet->l3, 0, sizeof(packet->l3));
  __builtin_memset(&packet->inner_l3, 0, sizeof(packet->inner_l3));
  __builtin_memset(&packet->fragment_id, 0, sizeof(*packet) - __builtin_offsetof(struct sl_packet, fragment_id));
}

/* Parses a frame from its Ethernet header on. `packet` must be reset. Returns SL_DROP_NONE, or the reason why the frame
 * cannot be evaluated. */
SL_INLINE int sl_parse(const void* data, const void* data_end, struct sl_packet* packet) {
  const __u8* eth = sl_bytes_at(data, data_end, 0, SL_ETH_LEN);
  if (!eth) {
    packet->truncated = 1;
    return SL_DROP_MALFORMED_ETHERNET;
  }
  __u16 ethertype = sl_read16(eth + 12);
  __u32 offset = SL_ETH_LEN;
  for (int i = 0; i < SL_MAX_VLAN_TAGS; i++) {
    if (ethertype != 0x8100 && ethertype != 0x88a8) break;
    const __u8* tag = sl_bytes_at(data, data_end, offset, 4);
    if (!tag) {
      packet->truncated = 1;
      return SL_DROP_MALFORMED_ETHERNET;
    }
    ethertype = sl_read16(tag + 2);
    offset += 4;
    packet->has_vlan = 1;
  }
  packet->l3_offset = offset;
  packet->to_group = eth[0] & 1;
  int reason;
  if (ethertype == 0x0800) {
    packet->ip_version = 4;
    reason = sl_parse_ipv4(data, data_end, offset, &packet->tuple, &packet->l3, packet);
  } else if (ethertype == 0x86dd) {
    packet->ip_version = 6;
    reason = sl_parse_ipv6(data, data_end, offset, &packet->tuple, &packet->l3, packet);
  } else if (ethertype == 0x0806) {
    sl_parse_arp(data, data_end, offset, packet);
    return SL_DROP_NONE;
  } else if (ethertype == 0x8100 || ethertype == 0x88a8) {
    return SL_DROP_TOO_MANY_HEADERS;
  } else {
    return SL_DROP_UNSUPPORTED_L3;
  }
  if (reason) return reason;
  packet->fragment = packet->l3.fragment;
  if (packet->fragment == SL_FRAGMENT_LATER) return SL_DROP_NONE;
  return sl_parse_l4(data, data_end, packet->l3.l4_offset & SL_MAX_L4_OFFSET, packet);
}

#endif
