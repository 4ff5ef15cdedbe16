#include "perf/dpdk/generator.h"

#include <rte_mbuf.h>

#include <algorithm>

#include "perf/rate/frame.h"

namespace sluice::perf {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

StatusOr<Tally> Generate(const Port& port, perf_load load, const Amount& amount, int burst) {
  Tally tally;
  rte_mbuf* packets[kLargestBurst];
  const Clock::time_point begin = Clock::now();
  const auto ended = [&] {
    return amount.stop->load(std::memory_order_relaxed) ||
           (amount.duration.count() > 0 && Clock::now() - begin >= amount.duration);
  };
  while (!ended() && (amount.packets == 0 || tally.packets < amount.packets)) {
    const std::uint64_t left = amount.packets == 0 ? kLargestBurst : amount.packets - tally.packets;
    std::span<rte_mbuf*> waiting(packets, std::min<std::uint64_t>(left, static_cast<std::uint64_t>(burst)));
    if (!port.Allocate(waiting))
      return MakeError(absl::StatusCode::kResourceExhausted, "port {} keeps all packets: {} were sent", port.device(),
                       tally.packets);
    for (rte_mbuf* const packet : waiting) {
      perf_write_packet(&load, rte_pktmbuf_mtod(packet, std::uint8_t*));
      packet->data_len = kFrameBytes;
      packet->pkt_len = packet->data_len;
    }
    while (!waiting.empty() && !ended()) {
      const std::size_t sent = port.Send(waiting);
      tally.packets += sent;
      waiting = waiting.subspan(sent);
    }
    for (rte_mbuf* const packet : waiting) rte_pktmbuf_free(packet);
  }
  tally.bytes = tally.packets * kFrameBytes;
  tally.duration = Clock::now() - begin;
  return tally;
}

}  // namespace sluice::perf
