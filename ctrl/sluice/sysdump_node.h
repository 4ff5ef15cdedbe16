// A dump's part that the node tells, with or without an agent: kernel, programs, maps, interfaces, routes, logs.
#pragma once

#include <string>

#include "ctrl/sluice/dump_directory.h"

namespace sluice::client {

struct NodeFacts {
  std::string metrics = "127.0.0.1:9464";       // where the agent serves /metrics
  std::string unit = "sluice.service";          // of systemd, for its log
  std::string bpf_root = "/sys/fs/bpf/sluice";  // the agent's
};

void DumpNode(const NodeFacts& facts, DumpDirectory& dump);

}  // namespace sluice::client
