#include "policy/tracing/constants.h"

#include <array>

namespace sluice::policy::tracing {
namespace {

constexpr std::array kIpProtocols = {
    NamedNumber{"IPPROTO_IP", 0},       NamedNumber{"IPPROTO_ICMP", 1},       NamedNumber{"IPPROTO_IGMP", 2},
    NamedNumber{"IPPROTO_IPIP", 4},     NamedNumber{"IPPROTO_TCP", 6},        NamedNumber{"IPPROTO_EGP", 8},
    NamedNumber{"IPPROTO_PUP", 12},     NamedNumber{"IPPROTO_UDP", 17},       NamedNumber{"IPPROTO_IDP", 22},
    NamedNumber{"IPPROTO_TP", 29},      NamedNumber{"IPPROTO_DCCP", 33},      NamedNumber{"IPPROTO_IPV6", 41},
    NamedNumber{"IPPROTO_ROUTING", 43}, NamedNumber{"IPPROTO_FRAGMENT", 44},  NamedNumber{"IPPROTO_RSVP", 46},
    NamedNumber{"IPPROTO_GRE", 47},     NamedNumber{"IPPROTO_ESP", 50},       NamedNumber{"IPPROTO_AH", 51},
    NamedNumber{"IPPROTO_ICMPV6", 58},  NamedNumber{"IPPROTO_NONE", 59},      NamedNumber{"IPPROTO_DSTOPTS", 60},
    NamedNumber{"IPPROTO_MTP", 92},     NamedNumber{"IPPROTO_BEETPH", 94},    NamedNumber{"IPPROTO_ENCAP", 98},
    NamedNumber{"IPPROTO_PIM", 103},    NamedNumber{"IPPROTO_COMP", 108},     NamedNumber{"IPPROTO_L2TP", 115},
    NamedNumber{"IPPROTO_SCTP", 132},   NamedNumber{"IPPROTO_MH", 135},       NamedNumber{"IPPROTO_UDPLITE", 136},
    NamedNumber{"IPPROTO_MPLS", 137},   NamedNumber{"IPPROTO_ETHERNET", 143}, NamedNumber{"IPPROTO_RAW", 255},
    NamedNumber{"IPPROTO_MPTCP", 262}};

constexpr std::array kAddressFamilies = {
    NamedNumber{"AF_UNSPEC", 0},     NamedNumber{"AF_UNIX", 1},    NamedNumber{"AF_LOCAL", 1},
    NamedNumber{"AF_INET", 2},       NamedNumber{"AF_AX25", 3},    NamedNumber{"AF_IPX", 4},
    NamedNumber{"AF_APPLETALK", 5},  NamedNumber{"AF_NETROM", 6},  NamedNumber{"AF_BRIDGE", 7},
    NamedNumber{"AF_ATMPVC", 8},     NamedNumber{"AF_X25", 9},     NamedNumber{"AF_INET6", 10},
    NamedNumber{"AF_ROSE", 11},      NamedNumber{"AF_DECnet", 12}, NamedNumber{"AF_NETBEUI", 13},
    NamedNumber{"AF_SECURITY", 14},  NamedNumber{"AF_KEY", 15},    NamedNumber{"AF_NETLINK", 16},
    NamedNumber{"AF_ROUTE", 16},     NamedNumber{"AF_PACKET", 17}, NamedNumber{"AF_ASH", 18},
    NamedNumber{"AF_ECONET", 19},    NamedNumber{"AF_ATMSVC", 20}, NamedNumber{"AF_RDS", 21},
    NamedNumber{"AF_SNA", 22},       NamedNumber{"AF_IRDA", 23},   NamedNumber{"AF_PPPOX", 24},
    NamedNumber{"AF_WANPIPE", 25},   NamedNumber{"AF_LLC", 26},    NamedNumber{"AF_IB", 27},
    NamedNumber{"AF_MPLS", 28},      NamedNumber{"AF_CAN", 29},    NamedNumber{"AF_TIPC", 30},
    NamedNumber{"AF_BLUETOOTH", 31}, NamedNumber{"AF_IUCV", 32},   NamedNumber{"AF_RXRPC", 33},
    NamedNumber{"AF_ISDN", 34},      NamedNumber{"AF_PHONET", 35}, NamedNumber{"AF_IEEE802154", 36},
    NamedNumber{"AF_CAIF", 37},      NamedNumber{"AF_ALG", 38},    NamedNumber{"AF_NFC", 39},
    NamedNumber{"AF_VSOCK", 40},     NamedNumber{"AF_KCM", 41},    NamedNumber{"AF_QIPCRTR", 42},
    NamedNumber{"AF_SMC", 43},       NamedNumber{"AF_XDP", 44},    NamedNumber{"AF_MCTP", 45}};

constexpr std::array kTcpStates = {
    NamedNumber{"TCP_ESTABLISHED", 1},    NamedNumber{"TCP_SYN_SENT", 2},   NamedNumber{"TCP_SYN_RECV", 3},
    NamedNumber{"TCP_FIN_WAIT1", 4},      NamedNumber{"TCP_FIN_WAIT2", 5},  NamedNumber{"TCP_TIME_WAIT", 6},
    NamedNumber{"TCP_CLOSE", 7},          NamedNumber{"TCP_CLOSE_WAIT", 8}, NamedNumber{"TCP_LAST_ACK", 9},
    NamedNumber{"TCP_LISTEN", 10},        NamedNumber{"TCP_CLOSING", 11},   NamedNumber{"TCP_NEW_SYN_RECV", 12},
    NamedNumber{"TCP_BOUND_INACTIVE", 13}};

// S_IFMT of linux/stat.h.
constexpr std::array kFileTypes = {
    NamedNumber{"sock", 0140000}, NamedNumber{"socket", 0140000}, NamedNumber{"lnk", 0120000},
    NamedNumber{"link", 0120000}, NamedNumber{"reg", 0100000},    NamedNumber{"regular", 0100000},
    NamedNumber{"blk", 0060000},  NamedNumber{"block", 0060000},  NamedNumber{"dir", 0040000},
    NamedNumber{"chr", 0020000},  NamedNumber{"char", 0020000},   NamedNumber{"fifo", 0010000},
    NamedNumber{"pipe", 0010000}};

}  // namespace

std::span<const NamedNumber> IpProtocols() { return kIpProtocols; }
std::span<const NamedNumber> AddressFamilies() { return kAddressFamilies; }
std::span<const NamedNumber> TcpStates() { return kTcpStates; }
std::span<const NamedNumber> FileTypes() { return kFileTypes; }

}  // namespace sluice::policy::tracing
