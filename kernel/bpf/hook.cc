#include "kernel/bpf/hook.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernel/bpf/clsact.h"

namespace sluice::bpf {
namespace {

constexpr std::size_t kMaxProgramsAtHook = 64;  // BPF_MPROG_MAX
constexpr std::size_t kMaxMapsOfProgram = 64;   // MAX_USED_MAPS
// enum bpf_link_type; newer than Debian 12's headers.
constexpr std::uint32_t kLinkTypeTcx = 11;

StatusOr<std::vector<std::uint32_t>> TcxPrograms(std::uint32_t ifindex, int type) {
  std::vector<std::uint32_t> ids(kMaxProgramsAtHook);
  auto count = static_cast<__u32>(ids.size());
  if (bpf_prog_query(static_cast<int>(ifindex), static_cast<bpf_attach_type>(type), 0, nullptr, ids.data(), &count) !=
      0) {
    // ENOENT: nothing was ever attached; EINVAL: a kernel without TCX.
    if (errno != ENOENT && errno != ENODEV && errno != EINVAL)
      return ErrnoError(errno, "list the tcx programs of ifindex {}", ifindex);
    count = 0;
  }
  ids.resize(count);
  return ids;
}

StatusOr<bpf_prog_info> ReadProgramInfo(int fd, std::vector<std::uint32_t>* map_ids) {
  bpf_prog_info info{};
  map_ids->resize(kMaxMapsOfProgram);
  info.nr_map_ids = static_cast<__u32>(map_ids->size());
  info.map_ids = reinterpret_cast<std::uintptr_t>(map_ids->data());
  __u32 length = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &length) != 0) return ErrnoError(errno, "read a program's info");
  if (info.nr_map_ids > kMaxMapsOfProgram)
    return MakeError(absl::StatusCode::kOutOfRange, "the BPF program {} uses {} maps, more than the kernel allowed",
                     info.id, info.nr_map_ids);
  map_ids->resize(info.nr_map_ids);
  return info;
}

bool Meet(const std::vector<std::uint32_t>& ids, const std::set<std::uint32_t>& others) {
  return std::ranges::any_of(ids, [&](std::uint32_t id) { return others.contains(id); });
}

}  // namespace

StatusOr<Hook> HookOf(const std::string& program) {
  if (program == "tc_from_pod") return Hook::kTcIngress;
  if (program == "tc_to_pod") return Hook::kTcEgress;
  if (program == "xdp_uplink") return Hook::kXdp;
  return InvalidError("no program of the packet path is named {}", program);
}

StatusOr<std::vector<std::uint32_t>> ProgramsAt(std::uint32_t ifindex, Hook hook) {
  if (hook == Hook::kXdp) {
    LIBBPF_OPTS(bpf_xdp_query_opts, query);
    const int rc = bpf_xdp_query(static_cast<int>(ifindex), 0, &query);
    if (rc == -ENODEV || rc == -ENXIO) return std::vector<std::uint32_t>();
    if (rc != 0) return ErrnoError(rc, "list the XDP programs of ifindex {}", ifindex);
    std::vector<std::uint32_t> ids;
    for (const std::uint32_t id : {query.drv_prog_id, query.skb_prog_id, query.hw_prog_id, query.prog_id})
      if (id != 0 && std::ranges::find(ids, id) == ids.end()) ids.push_back(id);
    return ids;
  }
  SL_ASSIGN_OR_RETURN(auto ids, TcxPrograms(ifindex, hook == Hook::kTcIngress ? kTcxIngress : kTcxEgress));
  if (!ids.empty()) return ids;
  return ClsactPrograms(ifindex, DirectionOf(hook));
}

TcDirection DirectionOf(Hook hook) { return hook == Hook::kTcIngress ? TcDirection::kIngress : TcDirection::kEgress; }

StatusOr<std::uint32_t> FilterThatUses(const AdminCalls& calls, std::uint32_t ifindex, Hook hook,
                                       const std::set<std::uint32_t>& map_ids) {
  SL_ASSIGN_OR_RETURN(const auto filters, ClsactPrograms(ifindex, DirectionOf(hook)));
  if (filters.empty()) return 0;
  SL_ASSIGN_OR_RETURN(const bool uses, ProgramUses(calls, filters.front(), map_ids));
  return uses ? filters.front() : 0;
}

StatusOr<std::uint32_t> ProgramId(int program_fd) {
  bpf_prog_info info{};
  __u32 length = sizeof(info);
  if (bpf_obj_get_info_by_fd(program_fd, &info, &length) != 0) return ErrnoError(errno, "read a program's info");
  return info.id;
}

StatusOr<std::uint32_t> MapId(int map_fd) {
  bpf_map_info info{};
  __u32 length = sizeof(info);
  if (bpf_obj_get_info_by_fd(map_fd, &info, &length) != 0) return ErrnoError(errno, "read a map's info");
  return info.id;
}

StatusOr<std::vector<std::uint32_t>> NumberKeys(int map_fd) {
  bpf_map_info info{};
  __u32 length = sizeof(info);
  if (bpf_obj_get_info_by_fd(map_fd, &info, &length) != 0) return ErrnoError(errno, "read a map's info");
  std::vector<std::uint32_t> keys;
  if (info.key_size != sizeof(std::uint32_t)) return InvalidError("map {}: its keys are not 32-bit numbers", info.name);
  std::uint32_t key = 0;
  const std::uint32_t* previous = nullptr;
  while (keys.size() < info.max_entries && bpf_map_get_next_key(map_fd, previous, &key) == 0) {
    keys.push_back(key);
    previous = &keys.back();
  }
  return keys;
}

StatusOr<InterfaceLink> ReadLink(Fd fd) {
  bpf_link_info info{};
  __u32 length = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd.get(), &info, &length) != 0) return ErrnoError(errno, "read a link's info");
  InterfaceLink link{.fd = std::move(fd), .id = info.id, .program_id = info.prog_id};
  // The interface is at the same offset for both.
  if (info.type == kLinkTypeTcx || info.type == BPF_LINK_TYPE_XDP) link.ifindex = info.xdp.ifindex;
  return link;
}

StatusOr<bool> ProgramUses(const AdminCalls& calls, std::uint32_t program_id, const std::set<std::uint32_t>& map_ids) {
  const auto program = calls.OpenProgram(program_id);
  if (absl::IsNotFound(program.status())) return false;  // it is gone
  SL_RETURN_IF_ERROR(program.status());
  std::vector<std::uint32_t> used;
  SL_RETURN_IF_ERROR(ReadProgramInfo(program->get(), &used).status());
  return Meet(used, map_ids);
}

StatusOr<std::vector<InterfaceLink>> LinksThatUse(const AdminCalls& calls, const std::set<std::uint32_t>& map_ids) {
  std::vector<InterfaceLink> links;
  for (std::uint32_t id = 0;;) {
    const auto next = calls.NextLink(id);
    if (absl::IsNotFound(next.status())) return links;
    SL_RETURN_IF_ERROR(next.status());
    id = *next;
    auto fd = calls.OpenLink(id);
    if (absl::IsNotFound(fd.status()) || absl::IsUnavailable(fd.status())) continue;
    SL_RETURN_IF_ERROR(fd.status());
    SL_ASSIGN_OR_RETURN(InterfaceLink link, ReadLink(*std::move(fd)));
    if (link.ifindex == 0) continue;
    const auto program = calls.OpenProgram(link.program_id);
    if (absl::IsNotFound(program.status())) continue;
    SL_RETURN_IF_ERROR(program.status());
    std::vector<std::uint32_t> used;
    SL_ASSIGN_OR_RETURN(const bpf_prog_info info, ReadProgramInfo(program->get(), &used));
    if (!Meet(used, map_ids)) continue;
    link.program = info.name;
    links.push_back(std::move(link));
  }
}

}  // namespace sluice::bpf
