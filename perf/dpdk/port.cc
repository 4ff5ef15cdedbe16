#include "perf/dpdk/port.h"

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <unistd.h>

namespace sluice::perf {
namespace {

constexpr std::uint16_t kQueue = 0;
constexpr std::uint16_t kDescriptors = 1024;
constexpr unsigned kPackets = 16383;  // more than both queues and a burst hold; 2^n - 1 uses memory best
constexpr unsigned kCached = 256;

Status DpdkError(int error, const std::string& doing) {
  return MakeError(absl::StatusCode::kInternal, "{}: {}", doing, rte_strerror(error < 0 ? -error : error));
}

}  // namespace

StatusOr<std::unique_ptr<Port>> Port::Open(const Eal& eal, const std::string& device) {
  std::uint16_t id = 0;
  if (rte_eth_dev_get_port_by_name(device.substr(0, device.find(',')).c_str(), &id) != 0)
    return MakeError(absl::StatusCode::kNotFound, "DPDK does not take the port {}{}: {}", device,
                     geteuid() == 0 ? "" : " (needs root, or CAP_NET_RAW and CAP_NET_ADMIN)",
                     eal.Log().empty() ? "no such device, or its driver is not one of DPDK's" : eal.Log());
  std::unique_ptr<Port> port(new Port(id, device));
  if (Status status = port->Start(); !status.ok())
    return Annotate(status, fmt::format("port {} ({})", device, eal.Log()));
  return port;
}

Status Port::Start() {
  const int socket = rte_eth_dev_socket_id(id_);
  pool_ = rte_pktmbuf_pool_create(fmt::format("port{}", id_).c_str(), kPackets, kCached, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                                  socket);
  if (pool_ == nullptr) return DpdkError(rte_errno, "make room for packets; more --memory may help");
  const rte_eth_conf plain{};
  if (const int error = rte_eth_dev_configure(id_, 1, 1, &plain); error != 0) return DpdkError(error, "configure");
  std::uint16_t receive = kDescriptors, send = kDescriptors;
  if (const int error = rte_eth_dev_adjust_nb_rx_tx_desc(id_, &receive, &send); error != 0)
    return DpdkError(error, "find the size of its queues");
  const auto on = static_cast<unsigned>(socket);
  if (const int error = rte_eth_rx_queue_setup(id_, kQueue, receive, on, nullptr, pool_); error != 0)
    return DpdkError(error, "set up the receive queue");
  if (const int error = rte_eth_tx_queue_setup(id_, kQueue, send, on, nullptr); error != 0)
    return DpdkError(error, "set up the send queue");
  if (const int error = rte_eth_dev_start(id_); error != 0) return DpdkError(error, "start");
  (void)rte_eth_promiscuous_enable(id_);  // without it, the driver receives only frames for its own address
  rte_eth_link link{};
  if (rte_eth_link_get(id_, &link) == 0 && link.link_status == RTE_ETH_LINK_DOWN)
    return MakeError(absl::StatusCode::kFailedPrecondition, "the link is down");
  return OkStatus();
}

Port::~Port() {
  (void)rte_eth_promiscuous_disable(id_);  // a kernel interface would stay promiscuous
  (void)rte_eth_dev_stop(id_);
  (void)rte_eth_dev_close(id_);
  rte_mempool_free(pool_);
}

std::string Port::mac() const {
  rte_ether_addr address{};
  (void)rte_eth_macaddr_get(id_, &address);
  char text[RTE_ETHER_ADDR_FMT_SIZE];
  rte_ether_format_addr(text, sizeof(text), &address);
  return text;
}

bool Port::Allocate(std::span<rte_mbuf*> packets) const {
  return rte_pktmbuf_alloc_bulk(pool_, packets.data(), static_cast<unsigned>(packets.size())) == 0;
}

std::size_t Port::Send(std::span<rte_mbuf*> packets) const {
  return rte_eth_tx_burst(id_, kQueue, packets.data(), static_cast<std::uint16_t>(packets.size()));
}

std::size_t Port::Receive(std::span<rte_mbuf*> packets) const {
  return rte_eth_rx_burst(id_, kQueue, packets.data(), static_cast<std::uint16_t>(packets.size()));
}

PortCounters Port::Counters() const {
  rte_eth_stats stats{};
  if (rte_eth_stats_get(id_, &stats) != 0) return {};
  return {stats.opackets, stats.ipackets, stats.oerrors + stats.imissed + stats.ierrors + stats.rx_nombuf};
}

}  // namespace sluice::perf
