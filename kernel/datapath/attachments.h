// Attaches the packet path's programs, and keeps them attached. An attachment is identified by the program's name and
// the interface; it is a link that is pinned and held open, or a clsact filter.
//
// An older version's programs keep running with their own tables until TakeOver. It replaces them link by link, so that
// no packet passes unchecked, once our tables are in force. Thread-safe.
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
  // `object` must outlive this. Opens and holds the links that an earlier process pinned; `left` has all other ones.
  // Once.
  Status Open(const bpf::DatapathObject* object, const bpf::PinLayout& pins, std::vector<LeftLink> left);

  // OK if it is attached already. Returns its mode. Errors as AttachTc and AttachXdp.
  StatusOr<std::string> Attach(const std::string& program, std::uint32_t ifindex, const std::string& interface);
  Status Detach(const std::string& program, std::uint32_t ifindex);
  std::vector<AttachedProgram> all() const;

  // Replaces all programs of older versions. From then on, Attach does so at once, and Repair tries again where it
  // failed.
  Status TakeOver();
  bool has_taken_over() const;  // of all attachments

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
  int repaired_ = 0;  // since the last Repair
};

}  // namespace sluice::datapath
