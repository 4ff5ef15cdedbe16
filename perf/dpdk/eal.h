// DPDK's environment layer: its memory, its threads and the devices that it drives. Only perf/dpdk knows DPDK.
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace sluice::perf {

struct EalOptions {
  // "net_af_packet0,iface=eth0", "net_af_xdp0,iface=eth0", or a card's PCI address. Interfaces are those of the calling
  // thread's network namespace.
  std::vector<std::string> devices;
  // One for the calling thread, which is moved there, and one for each worker. A CPU may be listed twice.
  std::vector<int> cpus;
  int megabytes = 256;
  bool huge_pages = false;
};

// At most one for each process, and only once in its life. Only the thread that made it may use it.
class Eal {
 public:
  // An error contains DPDK's log. A device that DPDK could not open is no error here, but has no port.
  static StatusOr<std::unique_ptr<Eal>> Start(const EalOptions& options);
  ~Eal();
  Eal(const Eal&) = delete;
  Eal& operator=(const Eal&) = delete;

  // DPDK's log so far, in one line.
  std::string Log() const;

 private:
  Eal();

  char* text_ = nullptr;
  std::size_t size_ = 0;
  FILE* log_ = nullptr;  // writes the two above
  bool started_ = false;
};

}  // namespace sluice::perf
