// One port of DPDK with one queue each way.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "perf/dpdk/eal.h"

struct rte_mbuf;
struct rte_mempool;

namespace sluice::perf {

struct PortCounters {
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  // As far as the driver knows: not sent, or not received for want of room.
  std::uint64_t dropped = 0;
};

// Closes the port. Sending is for one thread at a time, and so is receiving.
class Port {
 public:
  // Opens and starts what `eal` was given as `device`. NotFound: DPDK did not take it; says why.
  static StatusOr<std::unique_ptr<Port>> Open(const Eal& eal, const std::string& device);
  ~Port();
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  const std::string& device() const { return device_; }
  std::string mac() const;

  // Fills all of `packets`; false: there are none left now.
  bool Allocate(std::span<rte_mbuf*> packets) const;
  // How many of them went, from the front. These are no longer the caller's.
  std::size_t Send(std::span<rte_mbuf*> packets) const;
  // How many came; they are the caller's to free.
  std::size_t Receive(std::span<rte_mbuf*> packets) const;

  PortCounters Counters() const;  // since it was opened

 private:
  Port(std::uint16_t id, std::string device) : id_(id), device_(std::move(device)) {}
  Status Start();

  const std::uint16_t id_;
  const std::string device_;
  rte_mempool* pool_ = nullptr;
};

}  // namespace sluice::perf
