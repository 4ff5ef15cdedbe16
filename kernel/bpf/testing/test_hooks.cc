#include "kernel/bpf/testing/test_hooks.h"

#include <bpf/libbpf.h>

#include "skel/datapath_bpf.skel.h"

namespace sluice::bpf {

void TestHooks::SetClock(std::uint64_t ns) {
  auto* const bss = object_.skeleton_->bss;
  // Tokens that were spent at a later time would stay spent until then.
  if (ns < bss->test_clock_ns) bss->denied_paid_until_ns = 0;
  bss->test_clock_ns = ns;
}

void TestHooks::SetProcesses(std::uint32_t sender_class, std::uint32_t receiver_class) {
  object_.skeleton_->bss->test_sender_class = sender_class;
  object_.skeleton_->bss->test_receiver_class = receiver_class;
}

void TestHooks::SetSockets(std::uint64_t sender, std::uint64_t receiver) {
  object_.skeleton_->bss->test_sender_socket = sender;
  object_.skeleton_->bss->test_receiver_socket = receiver;
}

std::vector<std::string> TestHooks::MapNames() const {
  std::vector<std::string> names;
  bpf_map* map;
  bpf_object__for_each_map(map, object_.skeleton_->obj) {
    if (!bpf_map__is_internal(map)) names.emplace_back(bpf_map__name(map));
  }
  return names;
}

}  // namespace sluice::bpf
