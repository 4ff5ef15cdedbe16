// args, data and returnArg: how the kernel reads each.
#include <algorithm>

#include "policy/tracing/compile_parts.h"
#include "policy/tracing/syscalls.h"

namespace sluice::policy::tracing {
namespace {

// The first fields of each tracepoint's record: common_type, common_flags, common_preempt_count, common_pid. Then, of
// those on system calls, the number of the call.
constexpr int kSyscallNumberField = 4;
constexpr int kFirstField = 5;
constexpr std::uint8_t kNoSize = 0xff;

// Absent: the kernel's programs cannot read it.
std::optional<sl_hook_read> ReadOf(ArgType type) {
  switch (type) {
    case ArgType::kNop:
      return SL_HOOK_READ_NOTHING;
    case ArgType::kString:
      return SL_HOOK_READ_STRING;
    case ArgType::kCharBuf:
    case ArgType::kConstBuf:
      return SL_HOOK_READ_BYTES;
    case ArgType::kDataLoc:
      return SL_HOOK_READ_DATA_LOC;
    case ArgType::kCharIovec:
      return SL_HOOK_READ_IOVEC;
    case ArgType::kFd:
      return SL_HOOK_READ_FD;
    case ArgType::kFile:
      return SL_HOOK_READ_FILE;
    case ArgType::kPath:
      return SL_HOOK_READ_PATH;
    case ArgType::kDentry:
      return SL_HOOK_READ_DENTRY;
    case ArgType::kLinuxBinprm:
      return SL_HOOK_READ_BINPRM;
    case ArgType::kFilename:
      return SL_HOOK_READ_FILENAME;
    case ArgType::kSock:
      return SL_HOOK_READ_SOCK;
    case ArgType::kSocket:
      return SL_HOOK_READ_SOCKET;
    case ArgType::kSkb:
      return SL_HOOK_READ_SKB;
    case ArgType::kSockaddr:
      return SL_HOOK_READ_SOCKADDR;
    case ArgType::kSockaddrUn:
      return SL_HOOK_READ_SOCKADDR_UNIX;
    case ArgType::kNetDevice:
      return SL_HOOK_READ_NET_DEVICE;
    case ArgType::kKernelCap:
    case ArgType::kCapInheritable:
    case ArgType::kCapPermitted:
    case ArgType::kCapEffective:
      return SL_HOOK_READ_CAPABILITIES;
    case ArgType::kCred:
      return SL_HOOK_READ_CRED;
    case ArgType::kUserNamespace:
      return SL_HOOK_READ_USER_NAMESPACE;
    case ArgType::kModule:
      return SL_HOOK_READ_MODULE;
    case ArgType::kLoadInfo:
      return SL_HOOK_READ_LOAD_INFO;
    case ArgType::kBpfAttr:
      return SL_HOOK_READ_BPF_PROGRAM;
    case ArgType::kBpfMap:
      return SL_HOOK_READ_BPF_MAP;
    case ArgType::kBpfProg:
      return SL_HOOK_READ_BPF_OBJECT;
    case ArgType::kKiocb:
      return SL_HOOK_READ_KIOCB;
    case ArgType::kIovIter:
      return SL_HOOK_READ_IOV_ITER;
    case ArgType::kPerfEvent:
      return SL_HOOK_READ_PERF_EVENT;
    default:
      return InfoOf(type).bits != 0 ? std::optional(SL_HOOK_READ_NUMBER) : std::nullopt;
  }
}

// Whether the argument of a system call with this type is an address in the caller's memory.
bool IsOfCaller(sl_hook_read read) {
  return read == SL_HOOK_READ_STRING || read == SL_HOOK_READ_BYTES || read == SL_HOOK_READ_IOVEC ||
         read == SL_HOOK_READ_SOCKADDR || read == SL_HOOK_READ_SOCKADDR_UNIX || read == SL_HOOK_READ_BPF_PROGRAM;
}

bool HasBuffer(sl_hook_read read) { return read == SL_HOOK_READ_BYTES || read == SL_HOOK_READ_IOVEC; }

void RefuseFields(const Argument& argument, const PolicyField& field) {
  if (argument.resolve.empty() && argument.source == Argument::Source::kCurrentTask) {
    field.Error("the current task as a whole is of no type: name the field with resolve");
  }
  if (argument.source == Argument::Source::kRegisters) field.At("source").NotYet("pt_regs");
  if (!argument.btf_type.empty() && argument.resolve.empty()) field.At("btfType").NotYet("it without resolve");
  if (!argument.btf_module.empty()) field.At("btfTypeModule").NotYet();
  if (argument.max_data) field.At("maxData").NotYet();
}

// Where the kernel finds the value of args[n].index.
std::optional<std::uint16_t> IndexOf(const HookParts& parts, int index, const PolicyField& field) {
  if (parts.hook.kind != HookKind::kTracepoint) return static_cast<std::uint16_t>(index);
  const HookPoint& point = parts.points.front();
  const auto refuse = [&](int last) -> std::optional<std::uint16_t> {
    if (index > last) {
      field.Error(fmt::format("no field {}: the last one of the tracepoint is {}", index, last));
    } else {
      field.NotYet(fmt::format("field {} of this tracepoint", index));
    }
    return std::nullopt;
  };
  if (point.kind == HookPoint::Kind::kSyscall) {
    const int fields = IsSyscallExit(parts.hook) ? 1 : SyscallArguments(point.name).value_or(0);
    if (index < kFirstField || index >= kFirstField + fields) return refuse(kFirstField + fields - 1);
    return IsSyscallExit(parts.hook) ? SL_HOOK_INDEX_RETURN : static_cast<std::uint16_t>(index - kFirstField);
  }
  // raw_syscalls: sys_enter(registers, number), sys_exit(registers, result)
  const int known = point.name == "sys_enter" ? kSyscallNumberField : kFirstField;
  if (index != known) return refuse(kFirstField);
  return 1;
}

void CheckFitsSyscall(const Argument& argument, const PolicyField& field) {
  if (!InfoOf(argument.type).of_kernel) return;
  field.At("type").Error(
      fmt::format("a system call has no argument of type {}: its arguments are numbers and addresses "
                  "of the caller",
                  InfoOf(argument.type).name));
}

void CheckFitsProgram(const Argument& argument, const PolicyField& field) {
  if (!InfoOf(argument.type).of_kernel) return;
  field.At("type").Error(
      fmt::format("a function of a program has no argument of type {}, a structure of the kernel: its arguments are "
                  "numbers and addresses in its own memory",
                  InfoOf(argument.type).name));
}

// The parser does it for single calls.
void CheckFitsListed(const HookParts& parts, const Argument& argument, const PolicyField& field) {
  for (const HookPoint& point : parts.points) {
    const int count = SyscallArguments(point.name).value_or(0);
    if (argument.index >= count) {
      return field.At("index").Error(
          fmt::format("no argument {}: {} has {}, counted from 0", argument.index, point.name, count));
    }
    if (argument.size_index.value_or(0) >= count) {
      return field.At("sizeArgIndex")
          .Error(fmt::format("no argument {}: {} has {}, here counted from 1", *argument.size_index + 1, point.name,
                             count));
    }
  }
}

// The type of args[n]; for `auto`, the one that the kernel says.
ArgType TypeOf(const HookParts& parts, const Argument& argument, const PolicyField& field) {
  const bool is_result = parts.hook.return_arg && &argument == &*parts.hook.return_arg;
  const bool asks = argument.type == ArgType::kAuto && !is_result && argument.source == Argument::Source::kFunction &&
                    argument.resolve.empty() && !IsSyscall(parts) && !IsOfProgram(parts);
  if (!asks || parts.options.types == nullptr) return argument.type;
  if (parts.points.size() > 1) {
    field.At("type").NotYet("auto for a list of functions");
    return ArgType::kNop;
  }
  const auto type = parts.options.types->TypeOf(parts.points.front(), argument.index);
  if (type.ok()) return *type;
  field.At("type").Error(Message(type.status()));
  return ArgType::kNop;
}

sl_hook_argument CompileValue(const HookParts& parts, const Argument& argument, const PolicyField& field) {
  const bool of_function = argument.source == Argument::Source::kFunction;
  if (of_function && IsSyscall(parts)) CheckFitsSyscall(argument, field);
  if (of_function && IsOfProgram(parts)) CheckFitsProgram(argument, field);
  if (argument.type == ArgType::kConstBuf) field.At("type").NotYet("const_buf outside of a tracepoint's record");
  return CompileRead(argument, TypeOf(parts, argument, field), of_function && (IsSyscall(parts) || IsOfProgram(parts)),
                     field);
}

sl_hook_argument CompileArgument(const HookParts& parts, const Argument& argument, const PolicyField& field) {
  sl_hook_argument compiled = CompileValue(parts, argument, field);
  const std::optional<std::uint16_t> index = IndexOf(parts, argument.index, field.At("index"));
  compiled.index = index.value_or(0);
  if (compiled.index == SL_HOOK_INDEX_RETURN) compiled.flags |= SL_HOOK_ARGUMENT_AT_RETURN;
  const auto* target = std::get_if<FunctionTarget>(&parts.hook.target);
  if (IsSyscall(parts) && target != nullptr && !target->list.empty()) CheckFitsListed(parts, argument, field);
  if (parts.hook.kind == HookKind::kTracepoint && argument.size_index) {
    // It is the index of a field, too.
    const std::optional<std::uint16_t> size = IndexOf(parts, *argument.size_index, field.At("sizeArgIndex"));
    compiled.size_index = static_cast<std::uint8_t>(size.value_or(kNoSize));
  }
  return compiled;
}

// The way to a field of a structure. A hook on several functions has one way for all: it is looked up in the first.
void AddSteps(const HookParts& parts, const Argument& argument, const PolicyField& field, sl_hook_argument& read,
              CompiledHook& compiled) {
  if (argument.resolve.empty()) return;
  const PolicyField resolve = field.At("resolve");
  if (parts.options.types == nullptr) return resolve.NotYet("it without the kernel's types");
  if (argument.source != Argument::Source::kCurrentTask && (IsSyscall(parts) || IsOfProgram(parts)))
    return resolve.Error("arguments that a program passes are no structures of the kernel");
  if (parts.points.size() > 1 && argument.btf_type.empty() && argument.source == Argument::Source::kFunction)
    return resolve.NotYet("it for a list of functions without btfType");
  const auto steps = parts.options.types->Resolve(parts.points.front(), argument);
  if (!steps.ok()) return resolve.Error(Message(steps.status()));
  AddWay(*steps, read, compiled);
}

}  // namespace

sl_hook_argument CompileRead(const Argument& argument, ArgType type, bool of_program, const PolicyField& field) {
  sl_hook_argument compiled{};
  RefuseFields(argument, field);
  const ArgTypeInfo& info = InfoOf(type);
  const std::optional<sl_hook_read> read = ReadOf(type);
  if (!read) {
    field.At("type").NotYet(info.name);
    return compiled;
  }
  compiled.read = static_cast<std::uint8_t>(*read);
  unsigned flags = 0;
  if (*read == SL_HOOK_READ_NUMBER) {
    compiled.size = static_cast<std::uint8_t>(info.bits / 8);
    if (info.values == ValueClass::kSigned) flags |= SL_HOOK_ARGUMENT_SIGNED;
  }
  if (of_program && IsOfCaller(*read)) flags |= SL_HOOK_ARGUMENT_USER;
  if (argument.return_copy) flags |= SL_HOOK_ARGUMENT_AT_RETURN;
  if (HasBuffer(*read)) compiled.size_index = static_cast<std::uint8_t>(argument.size_index.value_or(kNoSize));
  if (HasBuffer(*read) || *read == SL_HOOK_READ_STRING) compiled.bytes_max = SL_HOOK_TEXT_MAX;
  compiled.flags = static_cast<std::uint8_t>(flags);
  return compiled;
}

void AddWay(const std::vector<std::uint64_t>& steps, sl_hook_argument& read, CompiledHook& compiled) {
  read.steps = static_cast<std::uint32_t>(compiled.words.size());
  read.step_count = static_cast<std::uint8_t>(steps.size());
  compiled.words.insert(compiled.words.end(), steps.begin(), steps.end());
}

void CompileSizeInArgs(const HookParts& parts, const Argument& argument, const PolicyField& field,
                       sl_hook_argument& read) {
  if (!argument.size_index) return;
  const PolicyField at = field.At("sizeArgIndex");
  const std::vector<Argument>& args = parts.hook.args;
  const auto found =
      std::find_if(args.begin(), args.end(), [&](const Argument& one) { return one.index == *argument.size_index; });
  const auto position = static_cast<std::size_t>(found - args.begin());
  if (found == args.end() || InfoOf(found->type).bits == 0 || &args[position] >= &argument) {
    return at.Error(
        fmt::format("args needs an entry with index {} and the type of a number before this one, as the size is read "
                    "there",
                    *argument.size_index));
  }
  read.size_index = static_cast<std::uint8_t>(position);
  read.flags |= SL_HOOK_ARGUMENT_SIZE_READ;
}

void CompileArguments(const HookParts& parts, const PolicyField& field, CompiledHook& compiled) {
  const Hook& hook = parts.hook;
  sl_hook& out = compiled.hook;
  for (std::size_t i = 0; i < hook.args.size(); ++i) {
    const PolicyField at = field.At("args", i);
    sl_hook_argument& argument = out.arguments[out.argument_count++];
    switch (parts.points.front().kind) {
      case HookPoint::Kind::kTracepoint:
        argument = CompileRecordArgument(parts, hook.args[i], at, compiled);
        break;
      case HookPoint::Kind::kStaticProbe:
        argument = CompileProbeArgument(parts, hook.args[i], at, compiled);
        break;
      default:
        argument = CompileArgument(parts, hook.args[i], at);
        AddSteps(parts, hook.args[i], at, argument, compiled);
    }
  }
  for (std::size_t i = 0; i < hook.data.size(); ++i) {
    sl_hook_argument& argument = out.arguments[out.argument_count++];
    argument = CompileValue(parts, hook.data[i], field.At("data", i));
    argument.flags |= SL_HOOK_ARGUMENT_OF_TASK;
    AddSteps(parts, hook.data[i], field.At("data", i), argument, compiled);
  }
  for (int i = 0; i < out.argument_count; ++i) {
    if ((out.arguments[i].flags & SL_HOOK_ARGUMENT_AT_RETURN) != 0) out.flags |= SL_HOOK_RETURNS;
  }
  if (!hook.returns) return;
  out.flags |= SL_HOOK_RETURNS;
  out.return_value = CompileValue(parts, *hook.return_arg, field.At("returnArg"));
  out.return_value.index = SL_HOOK_INDEX_RETURN;
  out.return_value.flags |= SL_HOOK_ARGUMENT_AT_RETURN;
}

}  // namespace sluice::policy::tracing
