// uprobes and usdts: places in programs, and arguments of static probes.
#include <algorithm>

#include "policy/tracing/compile_parts.h"
#include "policy/tracing/probe_argument.h"

namespace sluice::policy::tracing {
namespace {

// Tetragon's container has the node's /proc at /procRoot, so its users' files name programs below it.
constexpr std::string_view kProcOfTetragon = "/procRoot/";

std::string PathHere(const std::string& path) {
  return path.starts_with(kProcOfTetragon) ? "/proc/" + path.substr(kProcOfTetragon.size()) : path;
}

// Whether the file is one of those that the policy names; a problem if it is not and the policy does not allow that.
bool IsRightFile(const UprobeTarget& target, const std::string& path, const ProgramFiles& programs,
                 const PolicyField& field) {
  if (target.digests.empty()) return true;
  std::string seen;
  for (const std::string& digest : target.digests) {
    const std::size_t colon = digest.find(':');
    const auto found = programs.DigestOf(path, digest.substr(0, colon));
    if (found.ok() && *found == LowerCase(digest.substr(colon + 1))) return true;
    seen = found.ok() ? fmt::format("{}:{}", digest.substr(0, colon), *found) : Message(found.status());
  }
  if (!target.ignore_digest) {
    field.At("binaryDigests")
        .Error(fmt::format("{} is none of these files: {}. With \"ignore: {{digestVerificationFailure: true}}\" the "
                           "policy applies without this hook",
                           path, seen));
  }
  return false;
}

std::vector<ProgramPlace> PlacesOfUprobe(const UprobeTarget& target, const ProgramFiles& programs,
                                         const PolicyField& field) {
  const std::string path = PathHere(target.path);
  std::vector<ProgramPlace> places;
  if (!IsRightFile(target, path, programs, field)) return places;
  const auto add = [&](std::string_view key, std::size_t i, const std::string& name, StatusOr<std::uint64_t> offset) {
    if (!offset.ok()) return field.At(key, i).Error(Message(offset.status()));
    places.push_back({.point = {.kind = HookPoint::Kind::kProgram,
                                .group = path,
                                .name = name,
                                .offset = *offset,
                                .counter = i < target.counters.size() ? target.counters[i] : 0},
                      .arguments = {}});
  };
  for (std::size_t i = 0; i < target.symbols.size(); ++i)
    add("symbols", i, target.symbols[i], programs.OffsetOfSymbol(path, target.symbols[i]));
  for (std::size_t i = 0; i < target.offsets.size(); ++i)
    add("offsets", i, fmt::format("{:#x}", target.offsets[i]), target.offsets[i]);
  for (std::size_t i = 0; i < target.addresses.size(); ++i)
    add("addrs", i, fmt::format("{:#x}", target.addresses[i]), programs.OffsetOfAddress(path, target.addresses[i]));
  return places;
}

std::vector<ProgramPlace> PlacesOfProbe(const UsdtTarget& target, const ProgramFiles& programs,
                                        const PolicyField& field) {
  const std::string path = PathHere(target.path);
  const auto probes = programs.ProbesOf(path, target.provider, target.name);
  std::vector<ProgramPlace> places;
  if (!probes.ok()) {
    field.Error(Message(probes.status()));
    return places;
  }
  for (const StaticProbe& probe : *probes) {
    ProgramPlace place{.point = {.kind = HookPoint::Kind::kStaticProbe,
                                 .group = path,
                                 .name = fmt::format("{}:{}", target.provider, target.name),
                                 .offset = probe.offset,
                                 .counter = probe.counter},
                       .arguments = {}};
    for (const std::string_view one : SplitProbeArguments(probe.arguments)) place.arguments.emplace_back(one);
    places.push_back(std::move(place));
  }
  return places;
}

}  // namespace

std::vector<ProgramPlace> PlacesInProgram(const Hook& hook, const CompileOptions& options, const PolicyField& field) {
  if (options.programs == nullptr) {
    field.NotYet("it without the programs' files");
    return {};
  }
  if (const auto* target = std::get_if<UprobeTarget>(&hook.target)) {
    if (!target->btf_path.empty()) field.At("btfPath").NotYet();
    return PlacesOfUprobe(*target, *options.programs, field);
  }
  const auto& target = std::get<UsdtTarget>(hook.target);
  if (!target.btf_path.empty()) field.At("btfPath").NotYet();
  return PlacesOfProbe(target, *options.programs, field);
}

sl_hook_argument CompileProbeArgument(const HookParts& parts, const Argument& argument, const PolicyField& field,
                                      CompiledHook& compiled) {
  const PolicyField index = field.At("index");
  const std::size_t count = parts.probe_arguments.size();
  if (static_cast<std::size_t>(argument.index) >= count) {
    index.Error(fmt::format("no argument {}: the probe {} has {}, counted from 0", argument.index,
                            parts.points.front().name, count));
    return {};
  }
  if (InfoOf(argument.type).of_kernel || argument.type == ArgType::kDataLoc || argument.type == ArgType::kConstBuf) {
    field.At("type").Error(
        fmt::format("a static probe has no argument of type {}: its arguments are numbers and addresses in the "
                    "program's memory",
                    InfoOf(argument.type).name));
    return {};
  }
  if (!argument.resolve.empty()) {
    field.At("resolve").Error("arguments that a program passes are no structures of the kernel");
    return {};
  }
  const std::string& text = parts.probe_arguments[static_cast<std::size_t>(argument.index)];
  // Without a type, it is the one that the compiler wrote down.
  const bool is_signed = text.starts_with('-');
  const ArgType type = argument.type != ArgType::kAuto ? argument.type : is_signed ? ArgType::kInt64 : ArgType::kUint64;
  sl_hook_argument read = CompileRead(argument, type, true, field);
  const auto steps = StepsOfProbeArgument(text, ThisMachine());
  if (!steps.ok()) {
    index.Error(Message(steps.status()));
    return {};
  }
  read.index = static_cast<std::uint16_t>(argument.index);
  read.flags |= SL_HOOK_ARGUMENT_OF_STEPS;
  AddWay(*steps, read, compiled);
  CompileSizeInArgs(parts, argument, field, read);
  return read;
}

}  // namespace sluice::policy::tracing
