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
  // One for the calling thread, which is moved there, and one for each worker. A CPU may be there twice.
  std::vector<int> cpus;
  int megabytes = 256;
  bool huge_pages = false;
};

// One a process, and only once in its life; for the thread that made it.
class Eal {
 public:
  // An error has what DPDK said. A device that could not be taken is no error here, but its port is not there.
  static StatusOr<std::unique_ptr<Eal>> Start(const EalOptions& options);
  ~Eal();
  Eal(const Eal&) = delete;
  Eal& operator=(const Eal&) = delete;

  // What DPDK said so far, in one line.
  std::string Log() const;

 private:
  Eal();

  char* text_ = nullptr;
  std::size_t size_ = 0;
  FILE* log_ = nullptr;  // writes the two above
  bool started_ = false;
};

}  // namespace sluice::perf
