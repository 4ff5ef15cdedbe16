#include "kernel/bpf/struct_copy.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace sluice::bpf {
namespace {

struct BtfCloser {
  void operator()(btf* types) const { btf__free(types); }
};
using Btf = std::unique_ptr<btf, BtfCloser>;

struct Side {
  bpf_map_info info{};
  Btf types;
};

// Null: the types cannot be read.
Btf ReadTypes(const AdminCalls& calls, std::uint32_t id) {
  const auto fd = calls.OpenTypes(id);
  if (!fd.ok()) return nullptr;
  bpf_btf_info info{};
  __u32 length = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd->get(), &info, &length) != 0) return nullptr;
  std::vector<char> bytes(info.btf_size);
  info = {};
  info.btf = reinterpret_cast<std::uintptr_t>(bytes.data());
  info.btf_size = static_cast<__u32>(bytes.size());
  length = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd->get(), &info, &length) != 0) return nullptr;
  return Btf(btf__new(bytes.data(), info.btf_size));
}

StatusOr<Side> ReadSide(const AdminCalls& calls, int fd, const std::string& map) {
  Side side;
  __u32 length = sizeof(side.info);
  if (bpf_obj_get_info_by_fd(fd, &side.info, &length) != 0) return ErrnoError(errno, "map {}: read its info", map);
  if (side.info.btf_id != 0) side.types = ReadTypes(calls, side.info.btf_id);
  if (!side.types) return MakeError(absl::StatusCode::kFailedPrecondition, "map {}: cannot read its types", map);
  return side;
}

// The list of byte ranges to copy.
class Plan {
 public:
  Plan(const btf* from, const btf* to) : from_(from), to_(to) {}

  // False: the types are of different kinds.
  bool Add(__u32 from, __u32 from_offset, __u32 to, __u32 to_offset) {
    from = Plain(from_, from);
    to = Plain(to_, to);
    const btf_type* const a = btf__type_by_id(from_, from);
    const btf_type* const b = btf__type_by_id(to_, to);
    if (a == nullptr || b == nullptr || Kind(a) != Kind(b)) return false;
    switch (Kind(a)) {
      case BTF_KIND_STRUCT:
        return AddMembers(a, from_offset, b, to_offset);
      case BTF_KIND_ARRAY:
        return AddElements(a, from_offset, b, to_offset);
      case BTF_KIND_INT:  // supported machines are little-endian
        steps_.push_back({from_offset, to_offset, std::min(a->size, b->size)});
        return true;
      default:
        return false;
    }
  }

  void Copy(const char* from, char* to) const {
    for (const Step& step : steps_) std::memcpy(to + step.to, from + step.from, step.size);
  }

 private:
  struct Step {
    __u32 from, to, size;
  };

  static __u32 Plain(const btf* types, __u32 id) {
    const int plain = btf__resolve_type(types, id);
    return plain < 0 ? 0 : static_cast<__u32>(plain);
  }
  static int Kind(const btf_type* type) { return btf_is_enum(type) ? int{BTF_KIND_INT} : int{btf_kind(type)}; }

  bool AddMembers(const btf_type* a, __u32 from_offset, const btf_type* b, __u32 to_offset) {
    const btf_member* const members = btf_members(b);
    for (__u16 i = 0; i < btf_vlen(b); ++i) {
      const std::string_view name = btf__name_by_offset(to_, members[i].name_off);
      for (__u16 j = 0; j < btf_vlen(a); ++j) {
        const btf_member& other = btf_members(a)[j];
        if (name != btf__name_by_offset(from_, other.name_off)) continue;
        if (!Add(other.type, from_offset + btf_member_bit_offset(a, j) / 8, members[i].type,
                 to_offset + btf_member_bit_offset(b, i) / 8))
          return false;
      }
    }
    return true;
  }

  bool AddElements(const btf_type* a, __u32 from_offset, const btf_type* b, __u32 to_offset) {
    const auto* const from = reinterpret_cast<const struct btf_array*>(a + 1);
    const auto* const to = reinterpret_cast<const struct btf_array*>(b + 1);
    const auto from_size = static_cast<__u32>(btf__resolve_size(from_, from->type));
    const auto to_size = static_cast<__u32>(btf__resolve_size(to_, to->type));
    const __u32 count = std::min(from->nelems, to->nelems);
    const btf_type* const element = btf__type_by_id(to_, Plain(to_, to->type));
    if (element != nullptr && Kind(element) == BTF_KIND_INT && from_size == to_size) {
      steps_.push_back({from_offset, to_offset, count * to_size});
      return true;
    }
    for (__u32 i = 0; i < count; ++i)
      if (!Add(from->type, from_offset + i * from_size, to->type, to_offset + i * to_size)) return false;
    return true;
  }

  const btf* from_;
  const btf* to_;
  std::vector<Step> steps_;
};

// The member's offset in bytes.
std::optional<__u32> FindMember(const btf* types, __u32 id, std::string_view name) {
  const int plain = btf__resolve_type(types, id);
  const btf_type* const type = plain < 0 ? nullptr : btf__type_by_id(types, static_cast<__u32>(plain));
  if (type == nullptr || btf_kind(type) != BTF_KIND_STRUCT) return std::nullopt;
  for (__u16 i = 0; i < btf_vlen(type); ++i) {
    const btf_member& member = btf_members(type)[i];
    const __u32 offset = btf_member_bit_offset(type, i) / 8;
    const bool is_it = name == btf__name_by_offset(types, member.name_off);
    if (is_it && btf__resolve_size(types, member.type) == sizeof(std::uint32_t)) return offset;
    if (const auto within = FindMember(types, member.type, name)) return offset + *within;
  }
  return std::nullopt;
}

// `visit(key, value)`. The bound ends the loop even if others write at the same time.
template <typename Visit>
Status ForEachEntry(int fd, const bpf_map_info& info, const Visit& visit) {
  std::vector<char> key(info.key_size), next(info.key_size), value(info.value_size);
  const void* previous = nullptr;
  for (std::uint64_t seen = 0; seen <= 4ULL * info.max_entries; ++seen) {
    if (bpf_map_get_next_key(fd, previous, next.data()) != 0) break;
    key = next;
    previous = key.data();
    if (bpf_map_lookup_elem(fd, key.data(), value.data()) != 0) continue;
    SL_RETURN_IF_ERROR(visit(key.data(), value.data()));
  }
  return OkStatus();
}

}  // namespace

StatusOr<int> CopyEntries(const AdminCalls& calls, int from_fd, int to_fd, const std::string& map) {
  SL_ASSIGN_OR_RETURN(const Side from, ReadSide(calls, from_fd, map));
  SL_ASSIGN_OR_RETURN(const Side to, ReadSide(calls, to_fd, map));
  Plan keys(from.types.get(), to.types.get()), values(from.types.get(), to.types.get());
  if (!keys.Add(from.info.btf_key_type_id, 0, to.info.btf_key_type_id, 0) ||
      !values.Add(from.info.btf_value_type_id, 0, to.info.btf_value_type_id, 0))
    return MakeError(absl::StatusCode::kFailedPrecondition, "map {}: its entries have other types", map);
  int copied = 0;
  SL_RETURN_IF_ERROR(ForEachEntry(from_fd, from.info, [&](const char* key, const char* value) -> Status {
    std::vector<char> our_key(to.info.key_size), our_value(to.info.value_size);
    keys.Copy(key, our_key.data());
    values.Copy(value, our_value.data());
    if (bpf_map_update_elem(to_fd, our_key.data(), our_value.data(), BPF_NOEXIST) == 0) {
      ++copied;
    } else if (errno != EEXIST) {
      return ErrnoError(errno, "map {}: put", map);
    }
    return OkStatus();
  }));
  return copied;
}

Status ReadMembers(const AdminCalls& calls, int fd, const std::string& map, const std::vector<std::string>& names,
                   const std::function<void(const std::vector<std::uint32_t>&)>& visit) {
  SL_ASSIGN_OR_RETURN(const Side side, ReadSide(calls, fd, map));
  std::vector<__u32> offsets;
  for (const std::string& name : names) {
    const auto offset = FindMember(side.types.get(), side.info.btf_value_type_id, name);
    if (!offset) return MakeError(absl::StatusCode::kFailedPrecondition, "map {}: its values have no {}", map, name);
    offsets.push_back(*offset);
  }
  std::vector<std::uint32_t> members(names.size());
  return ForEachEntry(fd, side.info, [&](const char*, const char* value) {
    for (std::size_t i = 0; i < members.size(); ++i)
      std::memcpy(&members[i], value + offsets[i], sizeof(std::uint32_t));
    visit(members);
    return OkStatus();
  });
}

}  // namespace sluice::bpf
