#include "kernel/datapath/hand_over.h"

#include <filesystem>
#include <set>

#include "base/log.h"
#include "bpf/abi/policy.h"
#include "bpf/abi/process.h"
#include "bpf/abi/quarantine.h"
#include "kernel/bpf/hook.h"
#include "kernel/bpf/link.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/struct_copy.h"

namespace sluice::datapath {
namespace {

namespace fs = std::filesystem;

// The older probes assign numbers until they end: ours begin far above them.
constexpr std::uint64_t kNumbersLeftOut = 1 << 20;

StatusOr<std::optional<Fd>> OpenMap(const bpf::PinLayout& layout, const char* name) {
  auto fd = bpf::OpenPinnedMap(layout.map(name));
  if (fd.ok()) return std::optional<Fd>(std::move(*fd));
  if (absl::IsNotFound(fd.status())) return std::optional<Fd>();
  return fd.status();
}

// An endpoint that any of them cuts off stays cut off.
Status CarryQuarantine(const bpf::PinLayout& layout, const bpf::DatapathObject& object) {
  SL_ASSIGN_OR_RETURN(const auto fd, OpenMap(layout, "quarantine"));
  if (!fd) return OkStatus();
  using Map = bpf::Map<__u32, __u32>;
  SL_ASSIGN_OR_RETURN(const Map from, Map::Bind(fd->get(), "quarantine"));
  SL_ASSIGN_OR_RETURN(const Map to, Map::Bind(object.map_fd("quarantine"), "quarantine"));
  Status carried = OkStatus();
  SL_RETURN_IF_ERROR(from.ForEachBatch([&](const __u32& endpoint, const __u32& value) {
    if (value != SL_QUARANTINE_NONE) carried.Update(to.Put(endpoint, value));
  }));
  return carried;
}

template <typename V>
Status CarryNumbers(const bpf::PinLayout& layout, const bpf::DatapathObject& object, const char* name,
                    std::uint32_t count) {
  SL_ASSIGN_OR_RETURN(const auto fd, OpenMap(layout, name));
  if (!fd) return OkStatus();
  using Map = bpf::Map<__u32, V>;
  SL_ASSIGN_OR_RETURN(const Map from, Map::Bind(fd->get(), name));
  SL_ASSIGN_OR_RETURN(const Map to, Map::Bind(object.map_fd(name), name));
  for (std::uint32_t i = 0; i < count; ++i) {
    SL_ASSIGN_OR_RETURN(const auto last, from.Get(i));
    if (last && *last != 0) SL_RETURN_IF_ERROR(to.Put(i, static_cast<V>(*last + kNumbersLeftOut)));
  }
  return OkStatus();
}

// Copies the meanings of numbers before their users. Process ids come last: they show that everything is copied. No
// sensor of ours runs before that, so copied and new entries never share a number.
Status CarryProcesses(const bpf::PinLayout& layout, const bpf::DatapathObject& object) {
  Status carried = OkStatus();
  for (const char* const name : {"programs", "process_classes", "process_class_numbers", "processes"}) {
    SL_ASSIGN_OR_RETURN(const auto from, OpenMap(layout, name));
    if (from) carried.Update(bpf::CopyEntries(object.admin_calls(), from->get(), object.map_fd(name), name).status());
  }
  SL_RETURN_IF_ERROR(CarryNumbers<__u32>(layout, object, "process_class_counters", 2));
  SL_RETURN_IF_ERROR(CarryNumbers<__u64>(layout, object, "process_ids", 1));
  return carried;
}

StatusOr<bool> HasProcessNumbers(const bpf::DatapathObject& object) {
  SL_ASSIGN_OR_RETURN(const auto ids, (bpf::Map<__u32, __u64>::Bind(object.map_fd("process_ids"), "process_ids")));
  SL_ASSIGN_OR_RETURN(const auto last, ids.Get(0));
  return last.value_or(0) != 0;
}

StatusOr<std::set<std::uint32_t>> MapIds(const std::vector<bpf::PinLayout>& layouts) {
  std::set<std::uint32_t> ids;
  for (const bpf::PinLayout& layout : layouts) {
    SL_ASSIGN_OR_RETURN(const auto fd, OpenMap(layout, "generation"));  // every program of the packet path uses it
    if (!fd) continue;
    SL_ASSIGN_OR_RETURN(const std::uint32_t id, bpf::MapId(fd->get()));
    ids.insert(id);
  }
  return ids;
}

struct PinnedLink {
  std::uint32_t id = 0;
  LeftLink link;  // ifindex 0: defunct
};

StatusOr<std::vector<PinnedLink>> PinnedLinks(const bpf::PinLayout& layout) {
  std::vector<PinnedLink> links;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(layout.links_dir(), error)) {
    const auto name = bpf::ParseLinkName(entry.path().filename());
    if (!name) continue;
    SL_ASSIGN_OR_RETURN(Fd fd, bpf::OpenPinned(entry.path()));
    SL_ASSIGN_OR_RETURN(bpf::InterfaceLink link, bpf::ReadLink(std::move(fd)));
    links.push_back({link.id, {name->program, link.ifindex, std::move(link.fd), entry.path(), link.program_id}});
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return ErrnoError(error.value(), "list {}", layout.links_dir());
  return links;
}

// Filters have no pin; the older layouts' maps of interfaces show where they may be.
Status AddClsactFilters(const std::vector<bpf::PinLayout>& older, const bpf::AdminCalls& calls,
                        const std::set<std::uint32_t>& map_ids, std::vector<LeftLink>* links) {
  std::set<std::uint32_t> interfaces;
  for (const bpf::PinLayout& layout : older) {
    SL_ASSIGN_OR_RETURN(const auto fd, OpenMap(layout, "interfaces"));
    if (!fd) continue;
    SL_ASSIGN_OR_RETURN(const auto keys, bpf::NumberKeys(fd->get()));
    interfaces.insert(keys.begin(), keys.end());
  }
  for (const std::uint32_t ifindex : interfaces) {
    for (const char* const program : {"tc_from_pod", "tc_to_pod"}) {
      SL_ASSIGN_OR_RETURN(const bpf::Hook hook, bpf::HookOf(program));
      SL_ASSIGN_OR_RETURN(const std::uint32_t filter, bpf::FilterThatUses(calls, ifindex, hook, map_ids));
      if (filter != 0) links->push_back({program, ifindex, Fd(), "", filter});
    }
  }
  return OkStatus();
}

}  // namespace

StatusOr<std::vector<bpf::PinLayout>> FindOlderLayouts(const bpf::PinLayout& ours) {
  SL_ASSIGN_OR_RETURN(auto layouts, bpf::FindLayouts(ours.root()));
  std::erase_if(layouts, [&](const bpf::PinLayout& one) { return one.version() >= ours.version(); });
  return layouts;
}

Status CarryMaps(const std::vector<bpf::PinLayout>& older, const bpf::DatapathObject& object) {
  for (const bpf::PinLayout& layout : older) SL_RETURN_IF_ERROR(CarryQuarantine(layout, object));
  if (older.empty()) return OkStatus();
  SL_ASSIGN_OR_RETURN(const bool known, HasProcessNumbers(object));
  if (known) return OkStatus();
  // If that fails, processes are found as at any first start, with unknown ancestors.
  if (const Status status = CarryProcesses(older.back(), object); !status.ok())
    LogWarn("not all process data of {} could be taken over: {}", older.back().version_dir(), Message(status));
  return OkStatus();
}

StatusOr<std::vector<Fd>> OpenQuarantines(const std::vector<bpf::PinLayout>& older) {
  std::vector<Fd> maps;
  for (const bpf::PinLayout& layout : older) {
    SL_ASSIGN_OR_RETURN(auto fd, OpenMap(layout, "quarantine"));
    if (fd) maps.push_back(*std::move(fd));
  }
  return maps;
}

StatusOr<std::map<std::uint32_t, std::uint32_t>> ReadEndpoints(const std::vector<bpf::PinLayout>& older,
                                                               const bpf::AdminCalls& calls) {
  std::map<std::uint32_t, std::uint32_t> endpoints;
  for (const bpf::PinLayout& layout : older) {
    SL_ASSIGN_OR_RETURN(const auto fd, OpenMap(layout, "addresses"));
    if (!fd) continue;
    SL_RETURN_IF_ERROR(bpf::ReadMembers(calls, fd->get(), "addresses", {"ifindex", "endpoint"},
                                        [&endpoints](const std::vector<std::uint32_t>& entry) {
                                          if (entry[0] != 0 && entry[1] != 0) endpoints[entry[0]] = entry[1];
                                        }));
  }
  return endpoints;
}

StatusOr<std::vector<LeftLink>> FindLeftLinks(const bpf::PinLayout& ours, const std::vector<bpf::PinLayout>& older,
                                              const bpf::DatapathObject& object) {
  std::vector<LeftLink> links;
  std::set<std::uint32_t> known;
  SL_ASSIGN_OR_RETURN(const auto our_pins, PinnedLinks(ours));
  for (const PinnedLink& one : our_pins) known.insert(one.id);
  for (const bpf::PinLayout& layout : older) {
    SL_ASSIGN_OR_RETURN(auto pinned, PinnedLinks(layout));
    for (PinnedLink& one : pinned)
      if (known.insert(one.id).second && one.link.ifindex != 0) links.push_back(std::move(one.link));
  }
  SL_ASSIGN_OR_RETURN(const auto older_ids, MapIds(older));
  std::set<std::uint32_t> ids = older_ids;
  SL_ASSIGN_OR_RETURN(const std::uint32_t our_id, bpf::MapId(object.map_fd("generation")));
  ids.insert(our_id);
  auto using_them = bpf::LinksThatUse(object.admin_calls(), ids);
  if (absl::IsPermissionDenied(using_them.status())) {
    LogWarn("cannot look for programs that are attached without a pin: {}", Message(using_them.status()));
    return links;
  }
  SL_RETURN_IF_ERROR(using_them.status());
  for (bpf::InterfaceLink& link : *using_them) {
    if (known.insert(link.id).second && bpf::HookOf(link.program).ok())
      links.push_back({link.program, link.ifindex, std::move(link.fd), "", link.program_id});
  }
  SL_RETURN_IF_ERROR(AddClsactFilters(older, object.admin_calls(), older_ids, &links));
  return links;
}

Status RemoveLayouts(const std::vector<bpf::PinLayout>& layouts) {
  for (const bpf::PinLayout& layout : layouts) {
    std::error_code error;
    fs::remove_all(layout.version_dir(), error);
    if (error) return ErrnoError(error.value(), "remove {}", layout.version_dir());
  }
  return OkStatus();
}

}  // namespace sluice::datapath
