#include "kernel/bpf/type_resolver.h"

#include <bpf/btf.h>

#include <cerrno>
#include <charconv>
#include <optional>

#include "bpf/abi/hook.h"
#include "kernel/bpf/kernel_types.h"
#include "kernel/bpf/prototype.h"
#include "kernel/bpf/system.h"

namespace sluice::bpf {
namespace {

using policy::tracing::ArgType;
using policy::tracing::Argument;
using policy::tracing::HookPoint;

// A type without const, volatile, typedef and the like.
std::uint32_t Plain(const btf* types, std::uint32_t id) {
  const btf_type* type = btf__type_by_id(types, id);
  while (btf_is_mod(type) || btf_is_typedef(type)) {
    id = type->type;
    type = btf__type_by_id(types, id);
  }
  return id;
}

const char* NameOf(const btf* types, const btf_type* type) {
  const char* const name = btf__name_by_offset(types, type->name_off);
  return *name == '\0' ? "(no name)" : name;
}

struct Found {
  std::uint32_t type = 0;
  std::uint32_t offset = 0;  // in bytes
};

// A member of a structure or union, also of those without a name in it.
std::optional<Found> FindMember(const btf* types, std::uint32_t id, const std::string& name) {
  const btf_type* const type = btf__type_by_id(types, id);
  const btf_member* const members = btf_members(type);
  for (std::uint32_t i = 0; i < btf_vlen(type); ++i) {
    const std::uint32_t offset = btf_member_bit_offset(type, i) / 8;
    const std::string member = btf__name_by_offset(types, members[i].name_off);
    if (member == name) {
      if (btf_member_bitfield_size(type, i) != 0) return std::nullopt;
      return Found{.type = members[i].type, .offset = offset};
    }
    const std::uint32_t inner = Plain(types, members[i].type);
    if (!member.empty() || !btf_is_composite(btf__type_by_id(types, inner))) continue;
    if (const auto found = FindMember(types, inner, name))
      return Found{.type = found->type, .offset = offset + found->offset};
  }
  return std::nullopt;
}

// "[3]" -> 3
std::optional<std::uint32_t> ArrayIndex(const std::string& field) {
  std::uint32_t index = 0;
  if (field.size() < 3 || field.front() != '[' || field.back() != ']') return std::nullopt;
  const auto [end, error] = std::from_chars(field.data() + 1, field.data() + field.size() - 1, index);
  return error == std::errc() && end == field.data() + field.size() - 1 ? std::optional(index) : std::nullopt;
}

// Follows fields. `at` is what the address that is held points to; `offset` is still to be added to it.
class Walk {
 public:
  Walk(const btf* types, std::uint32_t at) : types_(types), at_(at) {}

  Status Follow(const std::string& field) {
    const btf_type* type = Type();
    if (btf_is_ptr(type)) {
      Load();
      at_ = Plain(types_, type->type);
      type = Type();
    }
    if (const auto index = ArrayIndex(field)) {
      if (!btf_is_array(type)) return AddElement(*index, at_);
      return AddElement(*index, Plain(types_, btf_array(type)->type));
    }
    if (!btf_is_composite(type))
      return InvalidError("field {} cannot be followed: {} is no structure", field, NameOf(types_, type));
    const auto found = FindMember(types_, at_, field);
    if (!found)
      return MakeError(absl::StatusCode::kNotFound, "this kernel's structure {} has no field {} that can be read",
                       NameOf(types_, type), field);
    offset_ += found->offset;
    at_ = Plain(types_, found->type);
    return OkStatus();
  }

  // Texts and structures in a structure are read where they are, all else is loaded.
  std::vector<std::uint64_t> End() {
    const btf_type* const type = Type();
    if (!btf_is_array(type) && !btf_is_composite(type)) {
      Load();
    } else if (offset_ != 0) {
      steps_.push_back(SL_HOOK_STEP(offset_, 0));
    }
    return std::move(steps_);
  }

 private:
  const btf_type* Type() const { return btf__type_by_id(types_, at_); }
  void Load() {
    steps_.push_back(SL_HOOK_STEP(offset_, 1));
    offset_ = 0;
  }
  Status AddElement(std::uint32_t index, std::uint32_t element) {
    const std::int64_t size = btf__resolve_size(types_, element);
    if (size <= 0) return InvalidError("[{}] cannot be followed: its elements have no size", index);
    offset_ += index * static_cast<std::uint32_t>(size);
    at_ = element;
    return OkStatus();
  }

  const btf* types_;
  std::uint32_t at_;
  std::uint32_t offset_ = 0;
  std::vector<std::uint64_t> steps_;
};

struct NamedType {
  std::string_view structure;
  ArgType type;
};
// What a pointer to a structure of the kernel is shown as.
constexpr NamedType kPointers[] = {
    {"file", ArgType::kFile},
    {"path", ArgType::kPath},
    {"dentry", ArgType::kDentry},
    {"linux_binprm", ArgType::kLinuxBinprm},
    {"filename", ArgType::kFilename},
    {"sock", ArgType::kSock},
    {"socket", ArgType::kSocket},
    {"sk_buff", ArgType::kSkb},
    {"sockaddr", ArgType::kSockaddr},
    {"sockaddr_un", ArgType::kSockaddrUn},
    {"net_device", ArgType::kNetDevice},
    {"cred", ArgType::kCred},
    {"user_namespace", ArgType::kUserNamespace},
    {"module", ArgType::kModule},
    {"load_info", ArgType::kLoadInfo},
    {"bpf_map", ArgType::kBpfMap},
    {"bpf_prog", ArgType::kBpfProg},
    {"perf_event", ArgType::kPerfEvent},
    {"kiocb", ArgType::kKiocb},
    {"iov_iter", ArgType::kIovIter},
};

std::optional<ArgType> TypeOfNumber(std::size_t size, bool is_signed) {
  switch (size) {
    case 1:
      return is_signed ? ArgType::kInt8 : ArgType::kUint8;
    case 2:
      return is_signed ? ArgType::kInt16 : ArgType::kUint16;
    case 4:
      return is_signed ? ArgType::kInt32 : ArgType::kUint32;
    case 8:
      return is_signed ? ArgType::kInt64 : ArgType::kUint64;
    default:
      return std::nullopt;
  }
}

// Absent: it cannot be shown.
std::optional<ArgType> ShownAs(const btf* types, std::uint32_t id) {
  const btf_type* const type = btf__type_by_id(types, Plain(types, id));
  if (btf_is_int(type)) return TypeOfNumber(type->size, (btf_int_encoding(type) & BTF_INT_SIGNED) != 0);
  if (btf_is_any_enum(type)) return TypeOfNumber(type->size, false);
  if (!btf_is_ptr(type)) return std::nullopt;
  const btf_type* const target = btf__type_by_id(types, Plain(types, type->type));
  const std::string name = btf__name_by_offset(types, target->name_off);
  if (btf_is_int(target))
    return target->size == 1 && name.find("char") != std::string::npos ? std::optional(ArgType::kString) : std::nullopt;
  for (const NamedType& one : kPointers) {
    if (btf_is_composite(target) && one.structure == name) return one.type;
  }
  return std::nullopt;
}

}  // namespace

Status KernelTypeResolver::Read() const {
  if (types_ != nullptr) return OkStatus();
  SL_ASSIGN_OR_RETURN(types_, KernelTypes());
  return OkStatus();
}

StatusOr<std::uint32_t> KernelTypeResolver::TypeOfArgument(const HookPoint& point, int index) const {
  const btf* const types = types_.get();
  const bool is_raw = point.kind == HookPoint::Kind::kRawTracepoint;
  const PrototypeKind kind = point.kind == HookPoint::Kind::kLsm ? PrototypeKind::kLsmHook
                             : is_raw                            ? PrototypeKind::kRawTracepoint
                                                                 : PrototypeKind::kFunction;
  const int prototype = FindPrototype(types, kind, point.name);
  const std::uint32_t position = static_cast<std::uint32_t>(index) + (is_raw ? 1 : 0);
  if (prototype < 0)
    return MakeError(absl::StatusCode::kNotFound, "this kernel's types ({}) do not say what arguments {} has",
                     kKernelTypes, point.name);
  const btf_type* const type = btf__type_by_id(types, static_cast<std::uint32_t>(prototype));
  if (position >= btf_vlen(type)) return InvalidError("{} has no argument {}", point.name, index);
  return Plain(types, btf_params(type)[position].type);
}

StatusOr<ArgType> KernelTypeResolver::TypeOf(const HookPoint& point, int index) const {
  SL_RETURN_IF_ERROR(Read());
  SL_ASSIGN_OR_RETURN(const std::uint32_t id, TypeOfArgument(point, index));
  if (const auto type = ShownAs(types_.get(), id)) return *type;
  return InvalidError("argument {} of {} is of a type that cannot be shown: name one of the types, or leave it out",
                      index, point.name);
}

StatusOr<std::vector<std::uint64_t>> KernelTypeResolver::Resolve(const HookPoint& point,
                                                                 const Argument& argument) const {
  SL_RETURN_IF_ERROR(Read());
  const bool of_task = argument.source == Argument::Source::kCurrentTask;
  std::uint32_t structure = 0;
  const std::string named = of_task ? "task_struct" : argument.btf_type;
  if (!named.empty()) {
    const int id = btf__find_by_name_kind(types_.get(), named.c_str(), BTF_KIND_STRUCT);
    if (id < 0) return MakeError(absl::StatusCode::kNotFound, "this kernel has no structure {}", named);
    structure = static_cast<std::uint32_t>(id);
  } else {
    SL_ASSIGN_OR_RETURN(const std::uint32_t type, TypeOfArgument(point, argument.index));
    const btf_type* const pointer = btf__type_by_id(types_.get(), type);
    if (!btf_is_ptr(pointer)) return InvalidError("argument {} of {} is no pointer", argument.index, point.name);
    structure = Plain(types_.get(), pointer->type);
  }
  Walk walk(types_.get(), structure);
  for (const std::string& field : argument.resolve) SL_RETURN_IF_ERROR(walk.Follow(field));
  return walk.End();
}

}  // namespace sluice::bpf
