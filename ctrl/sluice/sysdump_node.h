// The part of a dump that comes from the node, with or without an agent: kernel, programs, maps, interfaces, routes,
// logs.
#pragma once

#include <string>

#include "ctrl/sluice/dump_directory.h"

namespace sluice::client {

struct NodeFacts {
  std::string metrics = "127.0.0.1:9464";       // where the agent serves /metrics
  std::string unit = "sluice.service";          // systemd unit, for the agent's log
  std::string bpf_root = "/sys/fs/bpf/sluice";  // the agent's
};

void DumpNode(const NodeFacts& facts, DumpDirectory& dump);

}  // namespace sluice::client
