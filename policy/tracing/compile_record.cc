// Arguments of tracepoints, which are fields of a record.
#include "policy/tracing/compile_parts.h"

namespace sluice::policy::tracing {
namespace {

using Kind = TracepointField::Kind;

bool IsText(ArgType type) {
  return type == ArgType::kString || type == ArgType::kCharBuf || type == ArgType::kConstBuf ||
         type == ArgType::kDataLoc || type == ArgType::kFilename;
}

// What `auto` means for the field.
ArgType TypeOf(const TracepointField& field) {
  if (field.kind == Kind::kDataLocation) return ArgType::kDataLoc;
  if (field.kind == Kind::kArray) return field.of_chars ? ArgType::kString : ArgType::kConstBuf;
  switch (field.size) {
    case 1:
      return field.is_signed ? ArgType::kInt8 : ArgType::kUint8;
    case 2:
      return field.is_signed ? ArgType::kInt16 : ArgType::kUint16;
    case 4:
      return field.is_signed ? ArgType::kInt32 : ArgType::kUint32;
    default:
      return field.is_signed ? ArgType::kInt64 : ArgType::kUint64;
  }
}

std::string_view Describe(const TracepointField& field) {
  switch (field.kind) {
    case Kind::kNumber:
      return "a number";
    case Kind::kPointer:
      return "an address";
    case Kind::kArray:
      return "bytes in the record";
    case Kind::kDataLocation:
    case Kind::kRelativeLocation:
      break;
  }
  return "a text of its own length";
}

std::uint64_t Load(const TracepointField& field) {
  return SL_HOOK_STEP(field.offset, 0) | SL_HOOK_STEP_BYTES(std::uint64_t{field.size}) | SL_HOOK_STEP_LOAD |
         (field.is_signed ? SL_HOOK_STEP_SIGNED : 0);
}

// The field of args[n].index; null: a problem says what is wrong with it.
const TracepointField* FieldAt(const HookParts& parts, int index, const PolicyField& field) {
  const HookPoint& point = parts.points.front();
  if (static_cast<std::size_t>(index) >= parts.fields.size()) {
    field.Error(fmt::format("no field {}: the last one of {}/{} is {}", index, point.group, point.name,
                            parts.fields.size() - 1));
    return nullptr;
  }
  const TracepointField& found = parts.fields[static_cast<std::size_t>(index)];
  if (found.offset >= kFirstOwnOffset && found.kind != Kind::kRelativeLocation) return &found;
  field.Error(fmt::format("programs in the kernel cannot read the field {}", found.name));
  return nullptr;
}

// What is to be read, and the steps to it. False: the field is no such thing.
bool ReadField(const TracepointField& from, ArgType type, sl_hook_argument& read, std::vector<std::uint64_t>& steps) {
  const bool in_record = from.kind == Kind::kArray || from.kind == Kind::kDataLocation;
  if (IsText(type)) {
    if (from.kind == Kind::kNumber) return false;
    if (from.kind == Kind::kDataLocation) read.read = SL_HOOK_READ_DATA_LOC;
    if (from.kind != Kind::kDataLocation && type == ArgType::kDataLoc) return false;
    if (from.kind == Kind::kPointer && type == ArgType::kConstBuf) return false;
    if (from.kind == Kind::kPointer && type == ArgType::kFilename) return false;
    if (from.kind == Kind::kArray) {
      if (type == ArgType::kFilename) read.read = SL_HOOK_READ_STRING;
      read.bytes_max = from.size;
    }
  } else if (InfoOf(type).bits != 0) {
    if (in_record) return false;
  } else if (from.kind == Kind::kArray) {
    // An address in the record itself.
    if (type != ArgType::kSockaddr && type != ArgType::kSockaddrUn) return false;
  } else if (from.kind != Kind::kPointer && type != ArgType::kFd) {
    return false;
  }
  steps.push_back(in_record ? SL_HOOK_STEP(from.offset, 0) : Load(from));
  return true;
}

}  // namespace

sl_hook_argument CompileRecordArgument(const HookParts& parts, const Argument& argument, const PolicyField& field,
                                       CompiledHook& compiled) {
  const TracepointField* const from = FieldAt(parts, argument.index, field.At("index"));
  if (from == nullptr) return {};
  const ArgType type = argument.type == ArgType::kAuto ? TypeOf(*from) : argument.type;
  sl_hook_argument read = CompileRead(argument, type, false, field);
  std::vector<std::uint64_t> steps;
  if (argument.resolve.empty()) {
    if (type != ArgType::kNop && !ReadField(*from, type, read, steps)) {
      field.At("type").Error(
          fmt::format("the field {} is {}, which is no {}", from->name, Describe(*from), InfoOf(type).name));
    }
  } else if (argument.btf_type.empty()) {
    field.At("resolve").Error(
        fmt::format("the format does not say what {} points to: name its structure with btfType", from->name));
  } else if (from->kind != Kind::kPointer) {
    field.At("resolve").Error(fmt::format("the field {} is {}, which points to nothing", from->name, Describe(*from)));
  } else if (parts.options.types == nullptr) {
    field.At("resolve").NotYet("it without the kernel's types");
  } else {
    steps.push_back(Load(*from));
    const auto way = parts.options.types->Resolve(parts.points.front(), argument);
    if (!way.ok()) field.At("resolve").Error(Message(way.status()));
    if (way.ok()) steps.insert(steps.end(), way->begin(), way->end());
  }
  read.index = static_cast<std::uint16_t>(argument.index);
  read.flags |= SL_HOOK_ARGUMENT_OF_RECORD;
  AddWay(steps, read, compiled);
  CompileSizeInArgs(parts, argument, field, read);
  return read;
}

}  // namespace sluice::policy::tracing
