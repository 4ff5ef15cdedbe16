// Fields of the container and its pod: container.*, k8s.*.
#include <fmt/format.h>

#include "policy/rules/field_groups.h"
#include "policy/rules/text_match.h"

namespace sluice::policy::rules {
namespace {

template <std::string Container::*text>
void ContainerText(const FieldUse&, const Event& event, Values& out) {
  if (event.container != nullptr) out.AddKnown(event.container->*text);
}

void Privileged(const FieldUse&, const Event& event, Values& out) {
  if (event.container != nullptr && event.container->privileged) out.AddNumber(*event.container->privileged ? 1 : 0);
}

// As in Falco: a container begins with the pid namespace of its processes.
std::optional<std::uint64_t> StartOf(const Event& event) {
  if (event.container == nullptr || event.container->id == HostContainer().id) return std::nullopt;
  if (event.container->start_ns) return event.container->start_ns;
  return event.process == nullptr ? std::nullopt : event.process->pid_namespace_start_ns;
}

void ContainerStart(const FieldUse&, const Event& event, Values& out) {
  if (const auto start = StartOf(event)) out.AddNumber(*start);
}

void ContainerAge(const FieldUse&, const Event& event, Values& out) {
  if (const auto start = StartOf(event)) out.AddNumber(event.time_ns > *start ? event.time_ns - *start : 0);
}

std::string MountText(const Mount& mount) {
  return fmt::format("{}:{}:{}:{}:{}", mount.source, mount.destination, mount.mode, mount.writable ? "true" : "false",
                     mount.propagation);
}

void Mounts(const FieldUse&, const Event& event, Values& out) {
  if (event.container == nullptr || !event.container->mounts) return;
  std::string text;
  for (const Mount& mount : *event.container->mounts) text += (text.empty() ? "" : " ") + MountText(mount);
  out.AddOwned(text);
}

// The mount that the argument means: by its position, or the first one whose `end` matches the pattern.
const Mount* MountOf(const FieldUse& use, const Event& event, std::string Mount::*end) {
  if (event.container == nullptr || !event.container->mounts) return nullptr;
  const std::vector<Mount>& mounts = *event.container->mounts;
  if (use.index) {
    return static_cast<std::size_t>(*use.index) < mounts.size() ? &mounts[static_cast<std::size_t>(*use.index)]
                                                                : nullptr;
  }
  for (const Mount& mount : mounts) {
    if (MatchesGlob(use.key, mount.*end)) return &mount;
  }
  return nullptr;
}

template <std::string Mount::*text, std::string Mount::*end>
void OfMount(const FieldUse& use, const Event& event, Values& out) {
  const Mount* const mount = MountOf(use, event, end);
  if (mount != nullptr) out.AddText(mount->*text);
}

void WholeMount(const FieldUse& use, const Event& event, Values& out) {
  const Mount* const mount = MountOf(use, event, &Mount::source);
  if (mount != nullptr) out.AddOwned(MountText(*mount));
}

void MountWritable(const FieldUse& use, const Event& event, Values& out) {
  const Mount* const mount = MountOf(use, event, &Mount::source);
  if (mount != nullptr) out.AddText(mount->writable ? "true" : "false");
}

using enum ValueType;
constexpr ArgumentForm kNoArgument = ArgumentForm::kNone;

constexpr FieldInfo kContainerFields[] = {
    {"container.duration", kDuration, Many::kOne, kNoArgument, ContainerAge, "time since the container began"},
    {"container.full_id", kText, Many::kOne, kNoArgument, ContainerText<&Container::full_id>, "the whole id"},
    {"container.id", kText, Many::kOne, kNoArgument, ContainerText<&Container::id>,
     "the id's first 12 characters; host: it is in no container"},
    {"container.image", kText, Many::kOne, kNoArgument, ContainerText<&Container::image>,
     "the image's name with its tag"},
    {"container.image.digest", kText, Many::kOne, kNoArgument, ContainerText<&Container::image_digest>,
     "the image's digest"},
    {"container.image.id", kText, Many::kOne, kNoArgument, ContainerText<&Container::image_id>, "the image's id"},
    {"container.image.repository", kText, Many::kOne, kNoArgument, ContainerText<&Container::image_repository>,
     "the image without its tag"},
    {"container.image.tag", kText, Many::kOne, kNoArgument, ContainerText<&Container::image_tag>, "the image's tag"},
    {"container.ip", kText, Many::kOne, kNoArgument, ContainerText<&Container::ip>, "its address"},
    {"container.mount", kText, Many::kOne, ArgumentForm::kMount, WholeMount, "one mount, as in container.mounts"},
    {"container.mount.dest", kText, Many::kOne, ArgumentForm::kMount, OfMount<&Mount::destination, &Mount::source>,
     "where a source is mounted"},
    {"container.mount.mode", kText, Many::kOne, ArgumentForm::kMount, OfMount<&Mount::mode, &Mount::source>,
     "a mount's options"},
    {"container.mount.propagation", kText, Many::kOne, ArgumentForm::kMount,
     OfMount<&Mount::propagation, &Mount::source>, "a mount's propagation"},
    {"container.mount.rdwr", kText, Many::kOne, ArgumentForm::kMount, MountWritable, "true: it may be written"},
    {"container.mount.source", kText, Many::kOne, ArgumentForm::kMount, OfMount<&Mount::source, &Mount::destination>,
     "what is mounted on a destination"},
    {"container.mounts", kText, Many::kOne, kNoArgument, Mounts,
     "source:destination:options:writable:propagation of all mounts, with spaces between"},
    {"container.name", kText, Many::kOne, kNoArgument, ContainerText<&Container::name>, "its name"},
    {"container.privileged", kBool, Many::kOne, kNoArgument, Privileged, "it is privileged"},
    {"container.start_ts", kTime, Many::kOne, kNoArgument, ContainerStart,
     "when it began: the pid namespace of the process"},
    {"container.type", kText, Many::kOne, kNoArgument, ContainerText<&Container::type>, "containerd, docker, ..."},
    {"k8s.ns.name", kText, Many::kOne, kNoArgument, ContainerText<&Container::pod_namespace>, "the pod's namespace"},
    {"k8s.pod.name", kText, Many::kOne, kNoArgument, ContainerText<&Container::pod_name>, "the pod's name"},
    {"k8s.pod.uid", kText, Many::kOne, kNoArgument, ContainerText<&Container::pod_uid>, "the pod's uid"},
};

}  // namespace

std::span<const FieldInfo> ContainerFields() { return kContainerFields; }

}  // namespace sluice::policy::rules
