// A program of ours that is attached to an interface, as the agent knows it.
#pragma once

#include <cstdint>
#include <string>

namespace sluice::datapath {

struct AttachedProgram {
  std::string program;
  std::string interface;
  std::uint32_t ifindex = 0;
  std::string mode;  // "tcx", "clsact", "xdp native", "xdp generic"; empty: an earlier process attached it
};

}  // namespace sluice::datapath
