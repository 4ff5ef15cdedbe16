#include "perf/dpdk/sink.h"

#include <rte_mbuf.h>

#include <set>

#include "perf/dpdk/flow.h"

namespace sluice::perf {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kBurst = 64;
constexpr auto kQuiet = std::chrono::seconds(1);

}  // namespace

Arrivals Receive(const Port& port, const SinkOptions& options) {
  Arrivals arrivals;
  std::set<FlowKey> flows;
  rte_mbuf* packets[kBurst];
  const Clock::time_point begin = Clock::now();
  Clock::time_point first = begin, last = begin, sent_at = Clock::time_point::max();
  for (Clock::time_point now = begin; !options.amount.stop->load(std::memory_order_relaxed); now = Clock::now()) {
    const std::size_t came = port.Receive(packets);
    for (rte_mbuf* const packet : std::span(packets, came)) {
      const std::span frame(rte_pktmbuf_mtod(packet, const std::uint8_t*), packet->data_len);
      if (const std::optional<FlowKey> flow = FlowOf(frame); flow) {
        if (arrivals.udp.packets++ == 0) first = now;
        arrivals.udp.bytes += packet->pkt_len;
        if (options.count_flows) flows.insert(*flow);
        last = now;
      } else {
        ++arrivals.others;
      }
      rte_pktmbuf_free(packet);
    }
    if (options.amount.packets > 0 && arrivals.udp.packets >= options.amount.packets) break;
    if (options.amount.duration.count() > 0 && now - begin >= options.amount.duration) break;
    if (options.sent == nullptr) continue;
    const std::uint64_t sent = options.sent->load(std::memory_order_acquire);
    if (sent == kStillSending) continue;
    if (arrivals.udp.packets >= sent) break;
    sent_at = std::min(sent_at, now);
    if (now - std::max(last, sent_at) > kQuiet) break;
  }
  arrivals.udp.duration = last - first;
  arrivals.flows = flows.size();
  return arrivals;
}

}  // namespace sluice::perf
