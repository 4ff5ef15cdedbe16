// Where the packet path's programs are attached, and that they stay there. A program is known by its name and the
// interface; it is there by a link that is pinned and held, or by a clsact filter.
//
// What an older version attached goes on evaluating by its own tables until TakeOver: ours take its slot, link by link
// and without a packet between, once they have tables to evaluate by. Thread-safe.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "kernel/bpf/object.h"
#include "kernel/bpf/pin_layout.h"
#include "kernel/datapath/attached_program.h"
#include "kernel/datapath/held_pins.h"

namespace sluice::datapath {

// A program of ours that is attached without a pin of this layout.
struct LeftLink {
  std::string program;
  std::uint32_t ifindex = 0;
  Fd fd;            // invalid: a clsact filter
  std::string pin;  // of an older layout; empty: none
  std::uint32_t program_id = 0;
};

class Attachments {
 public:
  // `object` outlives this. Holds what an earlier process has pinned; `left` is what stands besides. Once.
  Status Open(const bpf::DatapathObject* object, const bpf::PinLayout& pins, std::vector<LeftLink> left);

  // Attaching what is attached already is fine. Returns its mode. Errors as AttachTc and AttachXdp.
  StatusOr<std::string> Attach(const std::string& program, std::uint32_t ifindex, const std::string& interface);
  Status Detach(const std::string& program, std::uint32_t ifindex);
  std::vector<AttachedProgram> all() const;

  // Puts ours in place of all that is left of older versions. From then on Attach does so at once, and Repair tries
  // again where it failed.
  Status TakeOver();
  bool has_taken_over() const;  // all of it

  // Asks the kernel, hook by hook, and attaches ours where what should be there is not: ours, or until it is taken over
  // an earlier one. Returns how many were, those of Attach among them.
  StatusOr<int> Repair();
  // Pins again whose pin is gone; how many.
  StatusOr<int> RepairPins();

 private:
  struct Attachment {
    AttachedProgram what;
    bool current = false;          // this process's program; false: an earlier one's still runs there
    std::uint32_t program_id = 0;  // what the pin of this layout holds; 0: there was none
    std::vector<LeftLink> left;
  };
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
  int repaired_ = 0;  // since Repair said so last
};

}  // namespace sluice::datapath
