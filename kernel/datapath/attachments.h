// Attaches the packet path's programs, and keeps them attached. An attachment is identified by the program's name and
// the interface; it is a link that is pinned and held open, or a clsact filter.
//
// A TCX link waits for a grace period of the kernel, with the kernel's lock of network devices held. Attachments that
// somebody waits for (kAtOnce) therefore begin as filters, and get their links later, one interface at a time.
//
// An older version's programs keep running with their own tables until TakeOver. It replaces them link by link, so that
// no packet passes unchecked, once our tables are in force. Thread-safe.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "kernel/bpf/object.h"
#include "kernel/bpf/pin_layout.h"
#include "kernel/datapath/attached_program.h"
#include "kernel/datapath/held_pins.h"

namespace sluice::datapath {

// An attached program of ours, of any version, without a pin in this layout.
struct LeftLink {
  std::string program;
  std::uint32_t ifindex = 0;
  Fd fd;            // invalid: a clsact filter
  std::string pin;  // of an older layout; empty: none
  std::uint32_t program_id = 0;
};

class Attachments {
 public:
  enum class Pace { kLink, kAtOnce };

  // `object` must outlive this. Opens and holds the links that an earlier process pinned; `left` has all other ones.
  // Once.
  Status Open(const bpf::DatapathObject* object, const bpf::PinLayout& pins, std::vector<LeftLink> left);

  // OK if it is attached already. Returns its mode. Errors as AttachTc and AttachXdp. kAtOnce: a tc program is attached
  // by a filter, if LinkNext will be called and a filter can be attached.
  StatusOr<std::string> Attach(const std::string& program, std::uint32_t ifindex, const std::string& interface,
                               Pace pace = Pace::kLink);
  Status Detach(const std::string& program, std::uint32_t ifindex);
  std::vector<AttachedProgram> all() const;

  // Replaces all programs of older versions. From then on, Attach does so at once, and Repair tries again where it
  // failed.
  Status TakeOver();
  bool has_taken_over() const;  // of all attachments

  // From now on LinkNext is called regularly.
  void BeginLinking();
  // Gives the interface that has waited longest its links in the place of its filters; when none waits, deletes the
  // qdiscs that Attach made. An error: the interface waits again, behind the others.
  Status LinkNext();

  // Reads each hook from the kernel, and attaches our program where the expected one is missing: ours, or before
  // TakeOver an older one. Returns the number of repairs, with those that Attach made.
  StatusOr<int> Repair();
  // Pins links again whose pins are gone; returns how many.
  StatusOr<int> RepairPins();

 private:
  struct Attachment {
    AttachedProgram what;
    bool current = false;          // this process's program; false: an earlier process's program still runs there
    std::uint32_t program_id = 0;  // the program of the link at this layout's pin; 0: there was no pin
    std::vector<LeftLink> left;
    std::uint32_t filter = 0;       // the program of our filter there, whose place a link is to take; 0: none
    std::uint64_t waits_since = 0;  // for the link: the order in which they get it
  };
  bool AttachFilter(Attachment* one);
  Status LinkAt(std::uint32_t ifindex);
  Status AttachNow(const std::string& pin, Attachment* one);
  Status TakeOverAt(const std::string& pin, Attachment* one);
  Status RepairAt(const std::string& pin, Attachment* one);
  StatusOr<bool> IsThere(const Attachment& one) const;
  void NoteRepair(const AttachedProgram& what);
  Status AttachAgain(const std::string& pin, Attachment* one);

  mutable std::mutex mutex_;
  const bpf::DatapathObject* object_ = nullptr;
  bpf::PinLayout pins_{""};
  std::map<std::string, Attachment> attached_;  // by the pin of this layout
  HeldPins held_;
  bool taken_over_ = false;
  int repaired_ = 0;  // since the last Repair
  bool links_later_ = false;
  std::uint64_t next_waiting_ = 1;
  std::set<std::uint32_t> made_clsact_;  // interfaces at which AttachFilter made the qdisc
};

}  // namespace sluice::datapath
