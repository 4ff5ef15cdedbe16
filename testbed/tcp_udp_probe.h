// Real TCP and UDP traffic between network namespaces, all from one process and without a helper program.
//   SL_ASSIGN_OR_RETURN(auto servers, ProbeServers::Start({{.netns_fd = web, .protocol = kTcp, .port = 80}}));
//   SL_ASSIGN_OR_RETURN(auto results, RunProbes({{.netns_fd = client, .destination = ip, .port = 80}}));
// Sockets are opened by threads that enter the namespaces and end there; the caller's namespace never changes.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "policy/resource/model.h"

namespace sluice::test {

// A namespace descriptor of -1 is the caller's namespace.
struct ServerSpec {
  int netns_fd = -1;
  std::uint8_t protocol = policy::kTcp;
  std::uint16_t port = 0;  // 0: any free one, see ProbeServers::ports
};

// Owns the listening sockets and one thread. TCP sends one line and closes; UDP echoes. Both IPv4 and IPv6. Stops in
// its destructor.
class ProbeServers {
 public:
  static StatusOr<std::unique_ptr<ProbeServers>> Start(const std::vector<ServerSpec>& specs);
  ~ProbeServers();
  ProbeServers(const ProbeServers&) = delete;
  ProbeServers& operator=(const ProbeServers&) = delete;

  const std::vector<std::uint16_t>& ports() const { return ports_; }  // in the order of the specs

 private:
  ProbeServers() = default;
  void Serve();

  std::vector<Fd> sockets_;
  std::vector<std::uint8_t> protocols_;
  std::vector<std::uint16_t> ports_;
  Fd epoll_;
  Fd stop_;
  std::thread thread_;
};

enum class ProbeOutcome {
  kAllowed,  // the server's answer came back
  kTimeout,  // silence until the timeout
  kRefused,  // a RST or an ICMP port unreachable
  kError,    // anything else, see detail
};
const char* ProbeOutcomeName(ProbeOutcome outcome);

struct Probe {
  int netns_fd = -1;
  policy::Address destination;
  std::uint8_t protocol = policy::kTcp;
  std::uint16_t port = 0;
  // Only an unanswered probe takes this long. Attempts are repeated within it.
  std::chrono::milliseconds timeout{300};
};

struct ProbeResult {
  ProbeOutcome outcome = ProbeOutcome::kTimeout;
  std::string detail;
};

// Runs all probes at once; results are in the same order. Blocks until the last one is decided. Raises the process's
// soft limit of open files to the hard limit.
StatusOr<std::vector<ProbeResult>> RunProbes(const std::vector<Probe>& probes);

}  // namespace sluice::test
