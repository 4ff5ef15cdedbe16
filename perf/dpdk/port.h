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
  // As counted by the driver: not sent, or not received for lack of room.
  std::uint64_t dropped = 0;
};

// Closes the port in its destructor. At most one thread may send, and one may receive.
class Port {
 public:
  // Opens and starts `device`, which must be one of `eal`'s devices. NotFound: DPDK did not take it; the message says
  // why.
  static StatusOr<std::unique_ptr<Port>> Open(const Eal& eal, const std::string& device);
  ~Port();
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  const std::string& device() const { return device_; }
  std::string mac() const;

  // Fills all of `packets`; false: no buffers are free at present.
  bool Allocate(std::span<rte_mbuf*> packets) const;
  // Sends from the front and returns how many were sent; the port owns these now.
  std::size_t Send(std::span<rte_mbuf*> packets) const;
  // Returns how many packets arrived; the caller must free them.
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
