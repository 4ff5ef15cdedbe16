#include "kernel/datapath/attachments.h"

#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>

#include "base/log.h"
#include "kernel/bpf/clsact.h"
#include "kernel/bpf/hook.h"
#include "kernel/bpf/link.h"
#include "kernel/net/netlink.h"

namespace sluice::datapath {
namespace {

constexpr const char* kPodPrograms[] = {"tc_from_pod", "tc_to_pod"};

std::string InterfaceName(std::uint32_t ifindex) {
  char name[IF_NAMESIZE] = "";
  return if_indextoname(ifindex, name) == nullptr ? "" : name;
}

// Only ENXIO and ENODEV mean that there is none.
bool IsGone(std::uint32_t ifindex) {
  char name[IF_NAMESIZE];
  return if_indextoname(ifindex, name) == nullptr && (errno == ENXIO || errno == ENODEV);
}

StatusOr<bpf::AttachedLink> AttachAt(const bpf::AdminCalls& calls, bpf::Hook hook, int program_fd,
                                     std::uint32_t ifindex, const std::string& pin, bool has_filter) {
  if (hook == bpf::Hook::kXdp) return bpf::AttachXdp(calls, program_fd, ifindex, pin);
  return bpf::AttachTc(program_fd, ifindex, bpf::DirectionOf(hook), pin, has_filter);
}

std::string NameOf(const AttachedProgram& what) {
  return fmt::format("{} at {} (ifindex {})", what.program, what.interface, what.ifindex);
}

std::string ModeOfLink(bpf::Hook hook, std::uint32_t ifindex) {
  return hook == bpf::Hook::kXdp ? bpf::XdpModeAt(ifindex) : "tcx";
}

Status Unpin(const std::string& pin) {
  if (pin.empty() || unlink(pin.c_str()) == 0 || errno == ENOENT) return OkStatus();
  return ErrnoError(errno, "unpin {}", pin);
}

// Also NotFound: the interface has gone.
StatusOr<bool> HasFilters(std::uint32_t ifindex) {
  SL_ASSIGN_OR_RETURN(net::Netlink netlink, net::Netlink::Open());
  for (const net::TcSide side : {net::TcSide::kIngress, net::TcSide::kEgress}) {
    SL_ASSIGN_OR_RETURN(const auto filters, netlink.DumpTcFilters(ifindex, side));
    if (!filters.empty()) return true;
  }
  return false;
}

// Deletes a qdisc that AttachFilter made, unless others use it by now. An empty one costs nothing, but a node is to be
// left as it was.
void TidyClsact(std::uint32_t ifindex) {
  const auto has_filters = HasFilters(ifindex);
  if (has_filters.ok() ? *has_filters : absl::IsNotFound(has_filters.status())) return;
  const Status deleted = has_filters.ok() ? bpf::DeleteClsact(ifindex) : has_filters.status();
  if (!deleted.ok()) LogWarn("{}", Message(deleted));
}

Status DetachLeft(const LeftLink& left) {
  SL_ASSIGN_OR_RETURN(const bpf::Hook hook, bpf::HookOf(left.program));
  if (left.fd.valid()) {
    SL_RETURN_IF_ERROR(bpf::DetachLink(left.fd.get()));
  } else if (hook != bpf::Hook::kXdp) {
    SL_RETURN_IF_ERROR(bpf::DetachTc(left.ifindex, bpf::DirectionOf(hook), left.pin));
  }
  return Unpin(left.pin);
}

}  // namespace

Status Attachments::Open(const bpf::DatapathObject* object, const bpf::PinLayout& pins, std::vector<LeftLink> left) {
  const std::lock_guard lock(mutex_);
  object_ = object;
  pins_ = pins;
  const auto note = [this](const std::string& program, std::uint32_t ifindex) -> Attachment& {
    Attachment& one = attached_[pins_.link(program, ifindex)];
    one.what = {.program = program, .interface = InterfaceName(ifindex), .ifindex = ifindex, .mode = ""};
    return one;
  };
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(pins_.links_dir(), error)) {
    const auto name = bpf::ParseLinkName(entry.path().filename());
    if (!name) continue;
    SL_ASSIGN_OR_RETURN(Fd fd, bpf::OpenPinned(entry.path()));
    SL_ASSIGN_OR_RETURN(bpf::InterfaceLink link, bpf::ReadLink(std::move(fd)));
    note(name->program, name->ifindex).program_id = link.program_id;
    held_.Hold(entry.path(), std::move(link.fd));
  }
  if (error) return ErrnoError(error.value(), "list {}", pins_.links_dir());
  for (LeftLink& one : left) note(one.program, one.ifindex).left.push_back(std::move(one));
  // Filters of ours have no pin; the pinned map of interfaces shows where they may be.
  SL_ASSIGN_OR_RETURN(const auto interfaces, bpf::NumberKeys(object->map_fd("interfaces")));
  SL_ASSIGN_OR_RETURN(const std::uint32_t our_map, bpf::MapId(object->map_fd("generation")));
  for (const std::uint32_t ifindex : interfaces) {
    for (const char* const program : kPodPrograms) {
      SL_ASSIGN_OR_RETURN(const bpf::Hook hook, bpf::HookOf(program));
      SL_ASSIGN_OR_RETURN(const std::uint32_t filter,
                          bpf::FilterThatUses(object->admin_calls(), ifindex, hook, {our_map}));
      if (filter != 0) note(program, ifindex).filter = filter;
    }
  }
  return OkStatus();
}

void Attachments::BeginLinking() {
  const std::lock_guard lock(mutex_);
  links_later_ = true;
}

StatusOr<std::string> Attachments::Attach(const std::string& program, std::uint32_t ifindex,
                                          const std::string& interface, Pace pace) {
  const std::lock_guard lock(mutex_);
  const std::string pin = pins_.link(program, ifindex);
  const auto found = attached_.find(pin);
  const bool is_known = found != attached_.end();
  const bool stays = is_known && (found->second.current || (!found->second.left.empty() && !taken_over_));
  if (stays) {
    // Another interface may have its number by now.
    SL_ASSIGN_OR_RETURN(const bool there, IsThere(found->second));
    if (there) {
      AttachedProgram& what = found->second.what;
      what.interface = interface;
      if (what.mode.empty() && what.program == "xdp_uplink") what.mode = bpf::XdpModeAt(ifindex);
      return what.mode;
    }
  }
  Attachment one;
  if (is_known) one = std::move(found->second);
  if (stays) one.filter = 0;  // it is not there: a link that passes packets on to it would open the pod
  one.what = {.program = program, .interface = interface, .ifindex = ifindex, .mode = ""};
  const bool is_filter = pace == Pace::kAtOnce && !is_known && links_later_ && AttachFilter(&one);
  const Status status = is_filter ? OkStatus() : AttachNow(pin, &one);
  std::string mode = one.what.mode;
  if (status.ok() && stays) NoteRepair(one.what);
  std::error_code error;
  if (!status.ok() && !std::filesystem::exists(pin, error))
    held_.Release(pin);  // the interface is gone, and the link with it
  if (status.ok() || is_known) attached_[pin] = std::move(one);
  SL_RETURN_IF_ERROR(status);
  return mode;
}

// False: it could not be attached, or this program is not for tc.
bool Attachments::AttachFilter(Attachment* one) {
  const auto hook = bpf::HookOf(one->what.program);
  if (!hook.ok() || *hook == bpf::Hook::kXdp) return false;
  const std::uint32_t ifindex = one->what.ifindex;
  const int program_fd = object_->program_fd(one->what.program);
  const auto program_id = bpf::ProgramId(program_fd);
  if (!program_id.ok()) return false;
  const auto made_qdisc = bpf::AttachClsact(program_fd, ifindex, bpf::DirectionOf(*hook), bpf::Handle::kIsFree);
  if (!made_qdisc.ok()) return false;
  if (*made_qdisc) made_clsact_.insert(ifindex);
  one->what.mode = "clsact";
  one->current = true;
  one->filter = *program_id;
  one->waits_since = next_waiting_++;
  return true;
}

// Qdiscs go when nobody waits, one at a time: somebody may wait for the lock.
Status Attachments::LinkNext() {
  std::optional<std::uint32_t> next;
  {
    const std::lock_guard lock(mutex_);
    std::uint64_t first = next_waiting_;
    for (const auto& [pin, one] : attached_) {
      if (!one.current || one.filter == 0 || one.waits_since >= first) continue;
      first = one.waits_since;
      next = one.what.ifindex;
    }
    if (!next && !made_clsact_.empty()) TidyClsact(made_clsact_.extract(made_clsact_.begin()).value());
  }
  return next ? LinkAt(*next) : OkStatus();
}

// Locks for one program at a time, as somebody may wait for another interface.
Status Attachments::LinkAt(std::uint32_t ifindex) {
  Status linked = OkStatus();
  for (const char* const program : kPodPrograms) {
    const std::lock_guard lock(mutex_);
    const std::string pin = pins_.link(program, ifindex);
    const auto found = attached_.find(pin);
    if (found == attached_.end() || found->second.filter == 0) continue;
    Attachment& one = found->second;
    const Status status = IsGone(ifindex) ? OkStatus() : AttachNow(pin, &one);
    if (status.ok()) {
      one.filter = 0;
    } else {
      one.waits_since = next_waiting_++;
      linked.Update(Annotate(status, fmt::format("link {}", NameOf(one.what))));
    }
  }
  return linked;
}

// Gives a left link our program, if there is a usable one; then detaches all other left ones.
Status Attachments::AttachNow(const std::string& pin, Attachment* one) {
  SL_ASSIGN_OR_RETURN(const bpf::Hook hook, bpf::HookOf(one->what.program));
  const int program_fd = object_->program_fd(one->what.program);
  SL_ASSIGN_OR_RETURN(const std::uint32_t program_id, bpf::ProgramId(program_fd));
  const std::uint32_t ifindex = one->what.ifindex;
  bpf::AttachedLink link;
  std::error_code error;
  for (LeftLink& left : one->left) {
    if (link.fd.valid() || !left.fd.valid() || std::filesystem::exists(pin, error)) continue;
    SL_ASSIGN_OR_RETURN(const bool updated, bpf::UpdateLink(left.fd.get(), program_fd));
    if (!updated) continue;
    SL_RETURN_IF_ERROR(bpf::PinAt(left.fd.get(), pin));
    SL_RETURN_IF_ERROR(Unpin(left.pin));
    link = {ModeOfLink(hook, ifindex), std::move(left.fd)};
  }
  const bool took_over = link.fd.valid();
  if (!took_over) {
    SL_ASSIGN_OR_RETURN(link, AttachAt(object_->admin_calls(), hook, program_fd, ifindex, pin, one->filter != 0));
  }
  // If ours is a clsact filter, it has replaced the old one.
  for (const LeftLink& left : one->left) {
    if (left.fd.valid() || (!took_over && link.mode != "clsact")) SL_RETURN_IF_ERROR(DetachLeft(left));
  }
  one->left.clear();
  one->what.mode = link.mode;
  one->program_id = program_id;
  one->current = true;
  one->filter = 0;
  if (link.fd.valid()) held_.Hold(pin, std::move(link.fd));
  return OkStatus();
}

Status Attachments::Detach(const std::string& program, std::uint32_t ifindex) {
  const std::lock_guard lock(mutex_);
  const std::string pin = pins_.link(program, ifindex);
  const auto found = attached_.find(pin);
  SL_ASSIGN_OR_RETURN(const bpf::Hook hook, bpf::HookOf(program));
  if (found != attached_.end()) {
    for (const LeftLink& left : found->second.left) SL_RETURN_IF_ERROR(DetachLeft(left));
    if (found->second.filter != 0) SL_RETURN_IF_ERROR(bpf::DetachClsact(ifindex, bpf::DirectionOf(hook)));
  }
  if (const int held = held_.fd(pin); held >= 0) SL_RETURN_IF_ERROR(bpf::DetachLink(held));  // even if its pin is gone
  held_.Release(pin);
  SL_RETURN_IF_ERROR(hook == bpf::Hook::kXdp ? bpf::DetachLink(pin)
                                             : bpf::DetachTc(ifindex, bpf::DirectionOf(hook), pin));
  attached_.erase(pin);
  const auto is_at = [ifindex](const auto& other) { return other.second.what.ifindex == ifindex; };
  const bool is_last = std::ranges::none_of(attached_, is_at);
  if (is_last && made_clsact_.erase(ifindex) != 0) TidyClsact(ifindex);
  return OkStatus();
}

std::vector<AttachedProgram> Attachments::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<AttachedProgram> programs;
  for (const auto& [pin, one] : attached_) programs.push_back(one.what);
  return programs;
}

Status Attachments::TakeOverAt(const std::string& pin, Attachment* one) {
  if (IsGone(one->what.ifindex)) {  // nothing to take over
    for (const LeftLink& left : one->left) SL_RETURN_IF_ERROR(Unpin(left.pin));
    one->left.clear();
    return OkStatus();
  }
  return AttachNow(pin, one);
}

Status Attachments::TakeOver() {
  const std::lock_guard lock(mutex_);
  taken_over_ = true;
  // First replaces all programs, which takes microseconds. While a packet meets our program at one hook and an older
  // one at the next, the older one has no flow for it, and cannot know its sender's process.
  for (auto& [pin, one] : attached_) {
    std::error_code error;
    if (one.left.size() != 1 || !one.left.front().fd.valid() || std::filesystem::exists(pin, error)) continue;
    bpf::UpdateLink(one.left.front().fd.get(), object_->program_fd(one.what.program))
        .IgnoreError();  // AttachNow reports errors
  }
  Status failed = OkStatus();
  for (auto& [pin, one] : attached_)
    if (!one.left.empty())
      failed.Update(Annotate(TakeOverAt(pin, &one), fmt::format("take over {}", NameOf(one.what))));
  return failed;
}

bool Attachments::has_taken_over() const {
  const std::lock_guard lock(mutex_);
  return taken_over_ && std::ranges::all_of(attached_, [](const auto& one) { return one.second.left.empty(); });
}

StatusOr<bool> Attachments::IsThere(const Attachment& one) const {
  SL_ASSIGN_OR_RETURN(const bpf::Hook hook, bpf::HookOf(one.what.program));
  if (one.filter != 0) {  // others may have links in front of it
    SL_ASSIGN_OR_RETURN(const auto filters, bpf::ClsactPrograms(one.what.ifindex, bpf::DirectionOf(hook)));
    return std::ranges::find(filters, one.filter) != filters.end();
  }
  SL_ASSIGN_OR_RETURN(const auto programs, bpf::ProgramsAt(one.what.ifindex, hook));
  const auto runs = [&](std::uint32_t id) { return std::ranges::find(programs, id) != programs.end(); };
  return runs(one.program_id) || std::ranges::any_of(one.left, runs, &LeftLink::program_id);
}

// Perhaps the held link only has another program; else attaches with a new link.
Status Attachments::AttachAgain(const std::string& pin, Attachment* one) {
  if (!one->current) return AttachNow(pin, one);
  if (const int held = held_.fd(pin); held >= 0) {
    SL_ASSIGN_OR_RETURN(const bool updated, bpf::UpdateLink(held, object_->program_fd(one->what.program)));
    if (updated) return OkStatus();
  }
  SL_RETURN_IF_ERROR(Unpin(pin));
  return AttachNow(pin, one);
}

void Attachments::NoteRepair(const AttachedProgram& what) {
  LogError("{} was no longer attached: attached again", NameOf(what));
  ++repaired_;
}

Status Attachments::RepairAt(const std::string& pin, Attachment* one) {
  SL_ASSIGN_OR_RETURN(const bool there, IsThere(*one));
  if (taken_over_ && !one->left.empty()) return TakeOverAt(pin, one);
  if (there || IsGone(one->what.ifindex)) return OkStatus();
  one->filter = 0;  // it is not there: a link that passes packets on to it would open the pod
  SL_RETURN_IF_ERROR(AttachAgain(pin, one));
  NoteRepair(one->what);
  return OkStatus();
}

StatusOr<int> Attachments::Repair() {
  const std::lock_guard lock(mutex_);
  Status failed = OkStatus();
  for (auto& [pin, one] : attached_) failed.Update(Annotate(RepairAt(pin, &one), NameOf(one.what)));
  if (!failed.ok()) return failed;
  return std::exchange(repaired_, 0);
}

StatusOr<int> Attachments::RepairPins() {
  const std::lock_guard lock(mutex_);
  SL_ASSIGN_OR_RETURN(int pins, held_.PutBack());
  for (const auto& [pin, one] : attached_) {
    for (const LeftLink& left : one.left) {
      std::error_code error;
      if (!left.fd.valid() || left.pin.empty() || std::filesystem::exists(left.pin, error)) continue;
      std::filesystem::create_directories(std::filesystem::path(left.pin).parent_path(), error);
      SL_RETURN_IF_ERROR(bpf::PinAt(left.fd.get(), left.pin));
      ++pins;
    }
  }
  return pins;
}

}  // namespace sluice::datapath
