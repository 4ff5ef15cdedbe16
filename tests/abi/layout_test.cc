// Compares every struct of bpf/abi in the BPF compiler's layout (BTF of the built objects) with C++'s layout: size, and
// name, offset and size of every member. A struct or member that this file does not list fails too.
#include <bpf/btf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <ostream>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "bpf/abi/call.h"
#include "bpf/abi/capture.h"
#include "bpf/abi/conntrack.h"
#include "bpf/abi/events.h"
#include "bpf/abi/flow_table.h"
#include "bpf/abi/hook.h"
#include "bpf/abi/hook_index.h"
#include "bpf/abi/lsm.h"
#include "bpf/abi/policy.h"
#include "bpf/abi/process.h"
#include "bpf/abi/process_class.h"
#include "bpf/abi/quarantine.h"
#include "bpf/abi/service.h"
#include "bpf/abi/types.h"

namespace sluice::test {
namespace {

struct Member {
  std::string name;
  std::size_t offset;
  std::size_t size;
  bool operator==(const Member&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Member& m) {
  return out << m.name << " at " << m.offset << ", " << m.size << " bytes";
}

struct Layout {
  std::string name;
  std::size_t size;
  std::vector<Member> members;
};

#define SL_M(type, member) \
  Member { #member, offsetof(type, member), sizeof(type::member) }

std::vector<Layout> CppLayouts() {
  return {
      {"sl_addr", sizeof(sl_addr), {SL_M(sl_addr, bytes)}},
      {"sl_hook_point",
       sizeof(sl_hook_point),
       {SL_M(sl_hook_point, first), SL_M(sl_hook_point, count), SL_M(sl_hook_point, columns),
        SL_M(sl_hook_point, column_count), SL_M(sl_hook_point, stacks)}},
      {"sl_hook_column",
       sizeof(sl_hook_column),
       {SL_M(sl_hook_column, argument), SL_M(sl_hook_column, others), SL_M(sl_hook_column, slots),
        SL_M(sl_hook_column, slot_mask), SL_M(sl_hook_column, prefix_words), SL_M(sl_hook_column, prefix_bytes),
        SL_M(sl_hook_column, postfix_words), SL_M(sl_hook_column, postfix_bytes), SL_M(sl_hook_column, whole),
        SL_M(sl_hook_column, face), SL_M(sl_hook_column, pad)}},
      {"sl_hook_slot", sizeof(sl_hook_slot), {SL_M(sl_hook_slot, key), SL_M(sl_hook_slot, hooks)}},
      {"sl_hook_syscall", sizeof(sl_hook_syscall), {SL_M(sl_hook_syscall, enter), SL_M(sl_hook_syscall, exit)}},
      {"sl_hook_argument",
       sizeof(sl_hook_argument),
       {SL_M(sl_hook_argument, index), SL_M(sl_hook_argument, read), SL_M(sl_hook_argument, flags),
        SL_M(sl_hook_argument, size), SL_M(sl_hook_argument, size_index), SL_M(sl_hook_argument, pad),
        SL_M(sl_hook_argument, step_count), SL_M(sl_hook_argument, steps), SL_M(sl_hook_argument, bytes_max)}},
      {"sl_hook",
       sizeof(sl_hook),
       {SL_M(sl_hook, policy), SL_M(sl_hook, scope), SL_M(sl_hook, life), SL_M(sl_hook, selectors),
        SL_M(sl_hook, tests), SL_M(sl_hook, test_count), SL_M(sl_hook, return_tests), SL_M(sl_hook, flags),
        SL_M(sl_hook, argument_count), SL_M(sl_hook, pad), SL_M(sl_hook, arguments), SL_M(sl_hook, return_value)}},
      {"sl_hook_test",
       sizeof(sl_hook_test),
       {SL_M(sl_hook_test, kind), SL_M(sl_hook_test, flags), SL_M(sl_hook_test, argument), SL_M(sl_hook_test, field),
        SL_M(sl_hook_test, detail), SL_M(sl_hook_test, selector), SL_M(sl_hook_test, filter_last),
        SL_M(sl_hook_test, selector_last), SL_M(sl_hook_test, pad), SL_M(sl_hook_test, first),
        SL_M(sl_hook_test, last)}},
      {"sl_hook_set_key",
       sizeof(sl_hook_set_key),
       {SL_M(sl_hook_set_key, number), SL_M(sl_hook_set_key, set), SL_M(sl_hook_set_key, pad)}},
      {"sl_hook_selector",
       sizeof(sl_hook_selector),
       {SL_M(sl_hook_selector, rate_ns), SL_M(sl_hook_selector, actions), SL_M(sl_hook_selector, return_actions),
        SL_M(sl_hook_selector, error), SL_M(sl_hook_selector, enforcer_error), SL_M(sl_hook_selector, signal),
        SL_M(sl_hook_selector, enforcer_signal), SL_M(sl_hook_selector, rate_scope), SL_M(sl_hook_selector, stacks),
        SL_M(sl_hook_selector, socket), SL_M(sl_hook_selector, return_signal), SL_M(sl_hook_selector, pad)}},
      {"sl_hook_counts", sizeof(sl_hook_counts), {SL_M(sl_hook_counts, counts)}},
      {"sl_hook_policy", sizeof(sl_hook_policy), {SL_M(sl_hook_policy, flags), SL_M(sl_hook_policy, life)}},
      {"sl_hook_subject",
       sizeof(sl_hook_subject),
       {SL_M(sl_hook_subject, scopes), SL_M(sl_hook_subject, endpoint), SL_M(sl_hook_subject, pad)}},
      {"sl_hook_settings",
       sizeof(sl_hook_settings),
       {SL_M(sl_hook_settings, subjects_epoch), SL_M(sl_hook_settings, event_parts)}},
      {"sl_hook_exec_facts",
       sizeof(sl_hook_exec_facts),
       {SL_M(sl_hook_exec_facts, namespaces), SL_M(sl_hook_exec_facts, capabilities), SL_M(sl_hook_exec_facts, marks),
        SL_M(sl_hook_exec_facts, next_mark), SL_M(sl_hook_exec_facts, pad)}},
      {"sl_hook_progress",
       sizeof(sl_hook_progress),
       {SL_M(sl_hook_progress, last_call), SL_M(sl_hook_progress, runs_missed)}},
      {"sl_hook_call_key",
       sizeof(sl_hook_call_key),
       {SL_M(sl_hook_call_key, thread), SL_M(sl_hook_call_key, hook), SL_M(sl_hook_call_key, life)}},
      {"sl_hook_value",
       sizeof(sl_hook_value),
       {SL_M(sl_hook_value, number), SL_M(sl_hook_value, offset), SL_M(sl_hook_value, length),
        SL_M(sl_hook_value, read), SL_M(sl_hook_value, flags)}},
      {"sl_hook_socket",
       sizeof(sl_hook_socket),
       {SL_M(sl_hook_socket, source), SL_M(sl_hook_socket, destination), SL_M(sl_hook_socket, source_port),
        SL_M(sl_hook_socket, destination_port), SL_M(sl_hook_socket, family), SL_M(sl_hook_socket, protocol),
        SL_M(sl_hook_socket, mark), SL_M(sl_hook_socket, priority), SL_M(sl_hook_socket, type),
        SL_M(sl_hook_socket, state), SL_M(sl_hook_socket, pad), SL_M(sl_hook_socket, length),
        SL_M(sl_hook_socket, cookie)}},
      {"sl_hook_cred",
       sizeof(sl_hook_cred),
       {SL_M(sl_hook_cred, uid), SL_M(sl_hook_cred, gid), SL_M(sl_hook_cred, euid), SL_M(sl_hook_cred, egid),
        SL_M(sl_hook_cred, suid), SL_M(sl_hook_cred, sgid), SL_M(sl_hook_cred, fsuid), SL_M(sl_hook_cred, fsgid),
        SL_M(sl_hook_cred, secure_bits), SL_M(sl_hook_cred, user_namespace), SL_M(sl_hook_cred, effective),
        SL_M(sl_hook_cred, inheritable), SL_M(sl_hook_cred, permitted)}},
      {"sl_hook_event",
       sizeof(sl_hook_event),
       {SL_M(sl_hook_event, time_ns),      SL_M(sl_hook_event, process),    SL_M(sl_hook_event, birth_ns),
        SL_M(sl_hook_event, cgroup),       SL_M(sl_hook_event, call),       SL_M(sl_hook_event, return_value),
        SL_M(sl_hook_event, pid),          SL_M(sl_hook_event, tid),        SL_M(sl_hook_event, hook),
        SL_M(sl_hook_event, life),         SL_M(sl_hook_event, subject),    SL_M(sl_hook_event, actions),
        SL_M(sl_hook_event, kernel_stack), SL_M(sl_hook_event, user_stack), SL_M(sl_hook_event, length),
        SL_M(sl_hook_event, kind),         SL_M(sl_hook_event, selector),   SL_M(sl_hook_event, argument_count),
        SL_M(sl_hook_event, monitor),      SL_M(sl_hook_event, arguments)}},
      {"sl_address_value",
       sizeof(sl_address_value),
       {SL_M(sl_address_value, identity), SL_M(sl_address_value, workload), SL_M(sl_address_value, ifindex),
        SL_M(sl_address_value, endpoint), SL_M(sl_address_value, egress_ruleset),
        SL_M(sl_address_value, ingress_ruleset)}},
      {"sl_address_entry", sizeof(sl_address_entry), {SL_M(sl_address_entry, addr), SL_M(sl_address_entry, value)}},
      {"sl_prefix_key",
       sizeof(sl_prefix_key),
       {SL_M(sl_prefix_key, prefixlen), SL_M(sl_prefix_key, epoch), SL_M(sl_prefix_key, addr)}},
      {"sl_prefix_value", sizeof(sl_prefix_value), {SL_M(sl_prefix_value, identity)}},
      {"sl_peer_value", sizeof(sl_peer_value), {SL_M(sl_peer_value, first), SL_M(sl_peer_value, count)}},
      {"sl_peer_entry",
       sizeof(sl_peer_entry),
       {SL_M(sl_peer_entry, ruleset), SL_M(sl_peer_entry, identity), SL_M(sl_peer_entry, range)}},
      {"sl_port_entry",
       sizeof(sl_port_entry),
       {SL_M(sl_port_entry, start), SL_M(sl_port_entry, decision), SL_M(sl_port_entry, verdict),
        SL_M(sl_port_entry, flags), SL_M(sl_port_entry, pad)}},
      {"sl_program_pattern",
       sizeof(sl_program_pattern),
       {SL_M(sl_program_pattern, length), SL_M(sl_program_pattern, text)}},
      {"sl_process_condition",
       sizeof(sl_process_condition),
       {SL_M(sl_process_condition, binaries), SL_M(sl_process_condition, ancestors),
        SL_M(sl_process_condition, if_unknown), SL_M(sl_process_condition, pad)}},
      {"sl_process_verdict",
       sizeof(sl_process_verdict),
       {SL_M(sl_process_verdict, count), SL_M(sl_process_verdict, outcomes), SL_M(sl_process_verdict, conditions)}},
      {"sl_flow_key",
       sizeof(sl_flow_key),
       {SL_M(sl_flow_key, lo), SL_M(sl_flow_key, hi), SL_M(sl_flow_key, lo_port), SL_M(sl_flow_key, hi_port),
        SL_M(sl_flow_key, protocol), SL_M(sl_flow_key, icmp_asker), SL_M(sl_flow_key, receiver)}},
      {"sl_flow_end",
       sizeof(sl_flow_end),
       {SL_M(sl_flow_end, identity), SL_M(sl_flow_end, workload), SL_M(sl_flow_end, endpoint),
        SL_M(sl_flow_end, ifindex)}},
      {"sl_service_key",
       sizeof(sl_service_key),
       {SL_M(sl_service_key, addr), SL_M(sl_service_key, port), SL_M(sl_service_key, protocol),
        SL_M(sl_service_key, pad)}},
      {"sl_service",
       sizeof(sl_service),
       {SL_M(sl_service, number), SL_M(sl_service, first), SL_M(sl_service, count), SL_M(sl_service, affinity)}},
      {"sl_service_backend",
       sizeof(sl_service_backend),
       {SL_M(sl_service_backend, addr), SL_M(sl_service_backend, port), SL_M(sl_service_backend, pad)}},
      {"sl_affinity_key",
       sizeof(sl_affinity_key),
       {SL_M(sl_affinity_key, client), SL_M(sl_affinity_key, number), SL_M(sl_affinity_key, pad)}},
      {"sl_affinity",
       sizeof(sl_affinity),
       {SL_M(sl_affinity, backend), SL_M(sl_affinity, pad), SL_M(sl_affinity, used_ns)}},
      {"sl_service_flow_key",
       sizeof(sl_service_flow_key),
       {SL_M(sl_service_flow_key, src), SL_M(sl_service_flow_key, service), SL_M(sl_service_flow_key, src_port),
        SL_M(sl_service_flow_key, service_port), SL_M(sl_service_flow_key, protocol), SL_M(sl_service_flow_key, pad)}},
      {"sl_service_flow", sizeof(sl_service_flow), {SL_M(sl_service_flow, backend), SL_M(sl_service_flow, number)}},
      {"sl_translation",
       sizeof(sl_translation),
       {SL_M(sl_translation, backend), SL_M(sl_translation, service), SL_M(sl_translation, number)}},
      {"sl_service_socket",
       sizeof(sl_service_socket),
       {SL_M(sl_service_socket, client), SL_M(sl_service_socket, last), SL_M(sl_service_socket, next),
        SL_M(sl_service_socket, latest), SL_M(sl_service_socket, connected)}},
      {"sl_stale_socket",
       sizeof(sl_stale_socket),
       {SL_M(sl_stale_socket, cookie), SL_M(sl_stale_socket, local), SL_M(sl_stale_socket, backend),
        SL_M(sl_stale_socket, local_port), SL_M(sl_stale_socket, pad), SL_M(sl_stale_socket, interface),
        SL_M(sl_stale_socket, pad2)}},
      {"sl_flow_entry",
       sizeof(sl_flow_entry),
       {SL_M(sl_flow_entry, last_seen_ns),
        SL_M(sl_flow_entry, generation),
        SL_M(sl_flow_entry, flags),
        SL_M(sl_flow_entry, socket_changes),
        SL_M(sl_flow_entry, reason),
        SL_M(sl_flow_entry, hook),
        SL_M(sl_flow_entry, tcp_flags),
        SL_M(sl_flow_entry, icmp_type),
        SL_M(sl_flow_entry, icmp_code),
        SL_M(sl_flow_entry, pad),
        SL_M(sl_flow_entry, forward_mtu),
        SL_M(sl_flow_entry, reply_mtu),
        SL_M(sl_flow_entry, route_checked),
        SL_M(sl_flow_entry, last_event),
        SL_M(sl_flow_entry, counted_forward),
        SL_M(sl_flow_entry, counted_reply),
        SL_M(sl_flow_entry, initiator_closed),
        SL_M(sl_flow_entry, responder_closed),
        SL_M(sl_flow_entry, forward_packets),
        SL_M(sl_flow_entry, forward_bytes),
        SL_M(sl_flow_entry, reply_packets),
        SL_M(sl_flow_entry, reply_bytes),
        SL_M(sl_flow_entry, initiator),
        SL_M(sl_flow_entry, responder),
        SL_M(sl_flow_entry, forward_route),
        SL_M(sl_flow_entry, reply_route),
        SL_M(sl_flow_entry, created_ns),
        SL_M(sl_flow_entry, id),
        SL_M(sl_flow_entry, initiator_process),
        SL_M(sl_flow_entry, responder_process),
        SL_M(sl_flow_entry, initiator_socket),
        SL_M(sl_flow_entry, responder_socket),
        SL_M(sl_flow_entry, initiator_class),
        SL_M(sl_flow_entry, responder_class),
        SL_M(sl_flow_entry, egress_decision),
        SL_M(sl_flow_entry, ingress_decision),
        SL_M(sl_flow_entry, awaited),
        SL_M(sl_flow_entry, owner),
        SL_M(sl_flow_entry, incarnation),
        SL_M(sl_flow_entry, service),
        SL_M(sl_flow_entry, service_range)}},
      {"sl_flow_route", sizeof(sl_flow_route), {SL_M(sl_flow_route, destination), SL_M(sl_flow_route, source)}},
      {"sl_socket_owner",
       sizeof(sl_socket_owner),
       {SL_M(sl_socket_owner, cookie), SL_M(sl_socket_owner, birth_ns), SL_M(sl_socket_owner, process),
        SL_M(sl_socket_owner, session), SL_M(sl_socket_owner, tgid), SL_M(sl_socket_owner, execs),
        SL_M(sl_socket_owner, sender), SL_M(sl_socket_owner, shared), SL_M(sl_socket_owner, process_class),
        SL_M(sl_socket_owner, closed)}},
      {"sl_socket_holder",
       sizeof(sl_socket_holder),
       {SL_M(sl_socket_holder, birth_ns), SL_M(sl_socket_holder, tgid), SL_M(sl_socket_holder, several)}},
      {"sl_first_fragment",
       sizeof(sl_first_fragment),
       {SL_M(sl_first_fragment, check), SL_M(sl_first_fragment, value)}},
      {"sl_fragments",
       sizeof(sl_fragments),
       {SL_M(sl_fragments, last), SL_M(sl_fragments, next), SL_M(sl_fragments, pad)}},
      {"sl_counter", sizeof(sl_counter), {SL_M(sl_counter, packets), SL_M(sl_counter, bytes)}},
      {"sl_endpoint_counters",
       sizeof(sl_endpoint_counters),
       {SL_M(sl_endpoint_counters, egress), SL_M(sl_endpoint_counters, ingress)}},
      {"sl_uplink", sizeof(sl_uplink), {SL_M(sl_uplink, ifindex), SL_M(sl_uplink, mac), SL_M(sl_uplink, pad)}},
      {"sl_settings",
       sizeof(sl_settings),
       {SL_M(sl_settings, flags), SL_M(sl_settings, uplinks), SL_M(sl_settings, path_fresh),
        SL_M(sl_settings, hash_seeds)}},
      {"sl_interface",
       sizeof(sl_interface),
       {SL_M(sl_interface, bridge), SL_M(sl_interface, netns), SL_M(sl_interface, pod_mac), SL_M(sl_interface, others),
        SL_M(sl_interface, pad), SL_M(sl_interface, address), SL_M(sl_interface, link_local),
        SL_M(sl_interface, link_local4), SL_M(sl_interface, master), SL_M(sl_interface, endpoint)}},
      {"sl_endpoint_mac", sizeof(sl_endpoint_mac), {SL_M(sl_endpoint_mac, mac), SL_M(sl_endpoint_mac, pad)}},
      {"sl_quarantine_peer",
       sizeof(sl_quarantine_peer),
       {SL_M(sl_quarantine_peer, prefixlen), SL_M(sl_quarantine_peer, addr)}},
      {"sl_capture",
       sizeof(sl_capture),
       {SL_M(sl_capture, snaplen), SL_M(sl_capture, cells), SL_M(sl_capture, pad), SL_M(sl_capture, next),
        SL_M(sl_capture, lost), SL_M(sl_capture, unused)}},
      {"sl_capture_cell",
       sizeof(sl_capture_cell),
       {SL_M(sl_capture_cell, position), SL_M(sl_capture_cell, index), SL_M(sl_capture_cell, count),
        SL_M(sl_capture_cell, pad), SL_M(sl_capture_cell, data)}},
      {"sl_capture_packet",
       sizeof(sl_capture_packet),
       {SL_M(sl_capture_packet, time_ns),
        SL_M(sl_capture_packet, ifindex),
        SL_M(sl_capture_packet, length),
        SL_M(sl_capture_packet, captured),
        SL_M(sl_capture_packet, vlan_tci),
        SL_M(sl_capture_packet, vlan_protocol),
        SL_M(sl_capture_packet, hook),
        SL_M(sl_capture_packet, outcome),
        SL_M(sl_capture_packet, flags),
        SL_M(sl_capture_packet, flow_reason),
        SL_M(sl_capture_packet, flow_hook),
        SL_M(sl_capture_packet, pad),
        SL_M(sl_capture_packet, flow_flags),
        SL_M(sl_capture_packet, key),
        SL_M(sl_capture_packet, flow_id),
        SL_M(sl_capture_packet, initiator_process),
        SL_M(sl_capture_packet, responder_process),
        SL_M(sl_capture_packet, initiator_identity),
        SL_M(sl_capture_packet, initiator_workload),
        SL_M(sl_capture_packet, responder_identity),
        SL_M(sl_capture_packet, responder_workload),
        SL_M(sl_capture_packet, egress_decision),
        SL_M(sl_capture_packet, ingress_decision),
        SL_M(sl_capture_packet, service),
        SL_M(sl_capture_packet, created)}},
      {"sl_flow_bucket", sizeof(sl_flow_bucket), {SL_M(sl_flow_bucket, tags), SL_M(sl_flow_bucket, overflow)}},
      {"sl_flow", sizeof(sl_flow), {SL_M(sl_flow, key), SL_M(sl_flow, entry)}},
      {"sl_event_share", sizeof(sl_event_share), {SL_M(sl_event_share, paid_until_ns), SL_M(sl_event_share, lost)}},
      {"sl_flow_event",
       sizeof(sl_flow_event),
       {SL_M(sl_flow_event, time_ns), SL_M(sl_flow_event, key), SL_M(sl_flow_event, entry),
        SL_M(sl_flow_event, ifindex), SL_M(sl_flow_event, type), SL_M(sl_flow_event, reply), SL_M(sl_flow_event, pad)}},
      {"sl_process",
       sizeof(sl_process),
       {SL_M(sl_process, id), SL_M(sl_process, parent), SL_M(sl_process, start_ns), SL_M(sl_process, birth_ns),
        SL_M(sl_process, cgroup), SL_M(sl_process, execs), SL_M(sl_process, flags), SL_M(sl_process, process_class),
        SL_M(sl_process, share), SL_M(sl_process, home)}},
      {"sl_program_path", sizeof(sl_program_path), {SL_M(sl_program_path, text)}},
      {"sl_program",
       sizeof(sl_program),
       {SL_M(sl_program, number), SL_M(sl_program, share), SL_M(sl_program, matches)}},
      {"sl_process_facts",
       sizeof(sl_process_facts),
       {SL_M(sl_process_facts, program), SL_M(sl_process_facts, script), SL_M(sl_process_facts, flags),
        SL_M(sl_process_facts, ancestors)}},
      {"sl_process_class",
       sizeof(sl_process_class),
       {SL_M(sl_process_class, facts), SL_M(sl_process_class, binaries), SL_M(sl_process_class, scripts),
        SL_M(sl_process_class, ancestors), SL_M(sl_process_class, used_ns), SL_M(sl_process_class, forked),
        SL_M(sl_process_class, share)}},
      {"sl_process_share", sizeof(sl_process_share), {SL_M(sl_process_share, added), SL_M(sl_process_share, refused)}},
      {"sl_process_share_freed",
       sizeof(sl_process_share_freed),
       {SL_M(sl_process_share_freed, freed), SL_M(sl_process_share_freed, parts)}},
      {"sl_process_claim_key",
       sizeof(sl_process_claim_key),
       {SL_M(sl_process_claim_key, birth_ns), SL_M(sl_process_claim_key, tgid), SL_M(sl_process_claim_key, execs)}},
      {"sl_lsm_target",
       sizeof(sl_lsm_target),
       {SL_M(sl_lsm_target, number), SL_M(sl_lsm_target, text), SL_M(sl_lsm_target, text_length),
        SL_M(sl_lsm_target, kind), SL_M(sl_lsm_target, section), SL_M(sl_lsm_target, decides),
        SL_M(sl_lsm_target, decides_count), SL_M(sl_lsm_target, audits), SL_M(sl_lsm_target, audits_count)}},
      {"sl_lsm_cell", sizeof(sl_lsm_cell), {SL_M(sl_lsm_cell, key), SL_M(sl_lsm_cell, target), SL_M(sl_lsm_cell, pad)}},
      {"sl_lsm_automaton",
       sizeof(sl_lsm_automaton),
       {SL_M(sl_lsm_automaton, classes), SL_M(sl_lsm_automaton, transitions), SL_M(sl_lsm_automaton, matches),
        SL_M(sl_lsm_automaton, class_count), SL_M(sl_lsm_automaton, state_count), SL_M(sl_lsm_automaton, targets)}},
      {"sl_lsm_rule",
       sizeof(sl_lsm_rule),
       {SL_M(sl_lsm_rule, group), SL_M(sl_lsm_rule, action), SL_M(sl_lsm_rule, conditions), SL_M(sl_lsm_rule, calls),
        SL_M(sl_lsm_rule, argument_set), SL_M(sl_lsm_rule, pad)}},
      {"sl_lsm_rules_of",
       sizeof(sl_lsm_rules_of),
       {SL_M(sl_lsm_rules_of, flags), SL_M(sl_lsm_rules_of, automata), SL_M(sl_lsm_rules_of, automata_count),
        SL_M(sl_lsm_rules_of, closes), SL_M(sl_lsm_rules_of, closes_count), SL_M(sl_lsm_rules_of, blocks),
        SL_M(sl_lsm_rules_of, blocks_count), SL_M(sl_lsm_rules_of, pad)}},
      {"sl_lsm_preset_rules",
       sizeof(sl_lsm_preset_rules),
       {SL_M(sl_lsm_preset_rules, block), SL_M(sl_lsm_preset_rules, audit)}},
      {"sl_lsm_profile",
       sizeof(sl_lsm_profile),
       {SL_M(sl_lsm_profile, seed), SL_M(sl_lsm_profile, cells), SL_M(sl_lsm_profile, cell_mask),
        SL_M(sl_lsm_profile, argument_sets), SL_M(sl_lsm_profile, source_flags), SL_M(sl_lsm_profile, presets),
        SL_M(sl_lsm_profile, sections), SL_M(sl_lsm_profile, calls), SL_M(sl_lsm_profile, path_calls)}},
      {"sl_lsm_subject", sizeof(sl_lsm_subject), {SL_M(sl_lsm_subject, profiles), SL_M(sl_lsm_subject, flags)}},
      {"sl_lsm_counts", sizeof(sl_lsm_counts), {SL_M(sl_lsm_counts, counts)}},
      {"sl_lsm_progress",
       sizeof(sl_lsm_progress),
       {SL_M(sl_lsm_progress, not_judged), SL_M(sl_lsm_progress, unreadable)}},
      {"sl_call_place_key",
       sizeof(sl_call_place_key),
       {SL_M(sl_call_place_key, cgroup), SL_M(sl_call_place_key, mounts), SL_M(sl_call_place_key, netns),
        SL_M(sl_call_place_key, pad)}},
      {"sl_call_place",
       sizeof(sl_call_place),
       {SL_M(sl_call_place, kinds), SL_M(sl_call_place, epoch), SL_M(sl_call_place, share)}},
      {"sl_call_name_key",
       sizeof(sl_call_name_key),
       {SL_M(sl_call_name_key, bits), SL_M(sl_call_name_key, half), SL_M(sl_call_name_key, set),
        SL_M(sl_call_name_key, backwards), SL_M(sl_call_name_key, pad), SL_M(sl_call_name_key, text)}},
      {"sl_call_part", sizeof(sl_call_part), {SL_M(sl_call_part, value), SL_M(sl_call_part, mask)}},
      {"sl_call_set",
       sizeof(sl_call_set),
       {SL_M(sl_call_set, tests), SL_M(sl_call_set, parts), SL_M(sl_call_set, raw_parts), SL_M(sl_call_set, ports)}},
      {"sl_call_loss_key", sizeof(sl_call_loss_key), {SL_M(sl_call_loss_key, share), SL_M(sl_call_loss_key, kind)}},
      {"sl_call_filter",
       sizeof(sl_call_filter),
       {SL_M(sl_call_filter, outcomes), SL_M(sl_call_filter, reads), SL_M(sl_call_filter, classes)}},
      {"sl_call_state",
       sizeof(sl_call_state),
       {SL_M(sl_call_state, half), SL_M(sl_call_state, epoch), SL_M(sl_call_state, parts), SL_M(sl_call_state, pad)}},
      {"sl_call_file",
       sizeof(sl_call_file),
       {SL_M(sl_call_file, inode), SL_M(sl_call_file, device), SL_M(sl_call_file, magic), SL_M(sl_call_file, mode),
        SL_M(sl_call_file, open_flags), SL_M(sl_call_file, open_mode), SL_M(sl_call_file, flags),
        SL_M(sl_call_file, descriptor), SL_M(sl_call_file, pad), SL_M(sl_call_file, family),
        SL_M(sl_call_file, protocol), SL_M(sl_call_file, type), SL_M(sl_call_file, state),
        SL_M(sl_call_file, local_port), SL_M(sl_call_file, remote_port), SL_M(sl_call_file, pad2),
        SL_M(sl_call_file, local), SL_M(sl_call_file, remote)}},
      {"sl_call_event",
       sizeof(sl_call_event),
       {SL_M(sl_call_event, time_ns),
        SL_M(sl_call_event, process),
        SL_M(sl_call_event, birth_ns),
        SL_M(sl_call_event, cgroup),
        SL_M(sl_call_event, result),
        SL_M(sl_call_event, arguments),
        SL_M(sl_call_event, extra),
        SL_M(sl_call_event, capabilities),
        SL_M(sl_call_event, exe_inode),
        SL_M(sl_call_event, exe_changed_ns),
        SL_M(sl_call_event, exe_modified_ns),
        SL_M(sl_call_event, mounts),
        SL_M(sl_call_event, pid_namespace_start_ns),
        SL_M(sl_call_event, pid),
        SL_M(sl_call_event, tid),
        SL_M(sl_call_event, namespace_pid),
        SL_M(sl_call_event, session),
        SL_M(sl_call_event, group),
        SL_M(sl_call_event, namespace_group),
        SL_M(sl_call_event, terminal),
        SL_M(sl_call_event, uid),
        SL_M(sl_call_event, gid),
        SL_M(sl_call_event, login_uid),
        SL_M(sl_call_event, netns),
        SL_M(sl_call_event, share),
        SL_M(sl_call_event, cpu),
        SL_M(sl_call_event, flags),
        SL_M(sl_call_event, kind),
        SL_M(sl_call_event, caller),
        SL_M(sl_call_event, set),
        SL_M(sl_call_event, pad),
        SL_M(sl_call_event, pad3),
        SL_M(sl_call_event, comm),
        SL_M(sl_call_event, file),
        SL_M(sl_call_event, lengths),
        SL_M(sl_call_event, pad2)}},
      {"sl_lsm_event",
       sizeof(sl_lsm_event),
       {SL_M(sl_lsm_event, time_ns),
        SL_M(sl_lsm_event, process),
        SL_M(sl_lsm_event, birth_ns),
        SL_M(sl_lsm_event, cgroup),
        SL_M(sl_lsm_event, generation),
        SL_M(sl_lsm_event, pid),
        SL_M(sl_lsm_event, tid),
        SL_M(sl_lsm_event, parent_pid),
        SL_M(sl_lsm_event, uid),
        SL_M(sl_lsm_event, subject),
        SL_M(sl_lsm_event, rule),
        SL_M(sl_lsm_event, number),
        SL_M(sl_lsm_event, owner),
        SL_M(sl_lsm_event, family),
        SL_M(sl_lsm_event, type),
        SL_M(sl_lsm_event, protocol),
        SL_M(sl_lsm_event, operation),
        SL_M(sl_lsm_event, verdict),
        SL_M(sl_lsm_event, reason),
        SL_M(sl_lsm_event, flags),
        SL_M(sl_lsm_event, path_length),
        SL_M(sl_lsm_event, program_length),
        SL_M(sl_lsm_event, arguments_length)}},
      {"sl_process_claim", sizeof(sl_process_claim), {SL_M(sl_process_claim, id), SL_M(sl_process_claim, start_ns)}},
      {"sl_process_header",
       sizeof(sl_process_header),
       {SL_M(sl_process_header, time_ns), SL_M(sl_process_header, id), SL_M(sl_process_header, parent),
        SL_M(sl_process_header, start_ns), SL_M(sl_process_header, birth_ns), SL_M(sl_process_header, cgroup),
        SL_M(sl_process_header, pid), SL_M(sl_process_header, parent_pid), SL_M(sl_process_header, flags),
        SL_M(sl_process_header, event), SL_M(sl_process_header, pad)}},
      {"sl_process_exit",
       sizeof(sl_process_exit),
       {SL_M(sl_process_exit, header), SL_M(sl_process_exit, status), SL_M(sl_process_exit, pad)}},
      {"sl_process_namespaces",
       sizeof(sl_process_namespaces),
       {SL_M(sl_process_namespaces, net), SL_M(sl_process_namespaces, mnt), SL_M(sl_process_namespaces, pid),
        SL_M(sl_process_namespaces, user), SL_M(sl_process_namespaces, uts), SL_M(sl_process_namespaces, ipc),
        SL_M(sl_process_namespaces, cgroup), SL_M(sl_process_namespaces, pad)}},
      {"sl_process_start",
       sizeof(sl_process_start),
       {SL_M(sl_process_start, header), SL_M(sl_process_start, previous), SL_M(sl_process_start, capabilities),
        SL_M(sl_process_start, namespaces), SL_M(sl_process_start, tid), SL_M(sl_process_start, ns_pid),
        SL_M(sl_process_start, ns_tid), SL_M(sl_process_start, uid), SL_M(sl_process_start, gid),
        SL_M(sl_process_start, euid), SL_M(sl_process_start, auid), SL_M(sl_process_start, argument_count),
        SL_M(sl_process_start, comm), SL_M(sl_process_start, binary_length), SL_M(sl_process_start, script_length),
        SL_M(sl_process_start, cwd_length), SL_M(sl_process_start, cgroup_length),
        SL_M(sl_process_start, arguments_length), SL_M(sl_process_start, pad)}},
      {"sl_process_loss_key",
       sizeof(sl_process_loss_key),
       {SL_M(sl_process_loss_key, cgroup), SL_M(sl_process_loss_key, cpu), SL_M(sl_process_loss_key, cause),
        SL_M(sl_process_loss_key, event), SL_M(sl_process_loss_key, pad)}},
  };
}

class AbiLayout : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* object : {SLUICE_CALLS_OBJECT, SLUICE_DATAPATH_OBJECT, SLUICE_HOOKS_OBJECT, SLUICE_LSM_OBJECT,
                               SLUICE_PROCESS_OBJECT, SLUICE_SERVICE_OBJECT, SLUICE_SOCKET_OBJECT}) {
      objects_.emplace_back(btf__parse_elf(object, nullptr));
      ASSERT_NE(objects_.back(), nullptr) << "no BTF in " << object;
    }
  }

  // The BPF compiler's layout, from each object that has the struct.
  std::vector<Layout> ReadBtf(const std::string& name) const {
    std::vector<Layout> layouts;
    for (const auto& object : objects_) {
      if (btf__find_by_name_kind(object.get(), name.c_str(), BTF_KIND_STRUCT) > 0)
        ReadBtf(object.get(), name, &layouts.emplace_back());
    }
    return layouts;
  }

  static void ReadBtf(const btf* object, const std::string& name, Layout* layout) {
    const btf_type* type = btf__type_by_id(object, btf__find_by_name_kind(object, name.c_str(), BTF_KIND_STRUCT));
    layout->name = name;
    layout->size = type->size;
    const btf_member* members = btf_members(type);
    for (int i = 0; i < btf_vlen(type); ++i) {
      ASSERT_EQ(btf_member_bitfield_size(type, i), 0u) << name;
      layout->members.push_back({btf__name_by_offset(object, members[i].name_off), btf_member_bit_offset(type, i) / 8,
                                 static_cast<std::size_t>(btf__resolve_size(object, members[i].type))});
    }
  }

  // Names of the structs defined in the headers.
  static std::set<std::string> StructsOfHeaders() {
    const char* source = std::getenv("SLUICE_SOURCE_DIR");
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(std::string(source ? source : ".") + "/bpf/abi")) {
      std::ifstream header(entry.path());
      const std::regex definition(R"(^\s*struct\s+(\w+)\s*\{.*)");
      std::smatch match;
      for (std::string line; std::getline(header, line);)
        if (std::regex_match(line, match, definition)) names.insert(match[1]);
    }
    return names;
  }

  // Structs that are a key or a value of a map, except those private to programs.
  static void AddStructsOfMaps(const btf* object, std::set<std::string>* names) {
    const int section = btf__find_by_name_kind(object, ".maps", BTF_KIND_DATASEC);
    ASSERT_GT(section, 0);
    const btf_type* maps = btf__type_by_id(object, section);
    for (int i = 0; i < btf_vlen(maps); ++i) {
      const btf_type* variable = btf__type_by_id(object, btf_var_secinfos(maps)[i].type);
      const std::string name = btf__name_by_offset(object, variable->name_off);
      static const std::set<std::string> kOwn = {
          "evaluations",    "process_scratch",    "process_class_steps", "datagram_senders",
          "hook_scratches", "call_scratches",     "call_rings",          "hook_calls",
          "lsm_scratches",  "lsm_tasks",          "hook_held_events",    "hook_known_cgroups",
          "hook_rates",     "hook_socket_owners", "hook_stacks",         "hook_notices"};
      if (kOwn.contains(name)) continue;
      const btf_type* map = btf__type_by_id(object, variable->type);
      for (int m = 0; m < btf_vlen(map); ++m) {
        const std::string field = btf__name_by_offset(object, btf_members(map)[m].name_off);
        if (field != "key" && field != "value") continue;
        const btf_type* pointer = btf__type_by_id(object, btf_members(map)[m].type);
        const btf_type* target = btf__type_by_id(object, pointer->type);
        if (btf_is_struct(target)) names->insert(btf__name_by_offset(object, target->name_off));
      }
    }
  }

  struct FreeBtf {
    void operator()(btf* b) const { btf__free(b); }
  };
  std::vector<std::unique_ptr<btf, FreeBtf>> objects_;
};

TEST_F(AbiLayout, OfEveryStructIsTheSameInBpfAndCpp) {
  for (const Layout& cpp : CppLayouts()) {
    SCOPED_TRACE(cpp.name);
    const std::vector<Layout> layouts = ReadBtf(cpp.name);
    EXPECT_FALSE(layouts.empty()) << "in no object's BTF";
    for (const Layout& bpf : layouts) {
      EXPECT_EQ(bpf.size, cpp.size);
      EXPECT_EQ(bpf.members, cpp.members);
    }
  }
}

TEST_F(AbiLayout, NoMemberIsFollowedByHiddenPadding) {
  for (const Layout& cpp : CppLayouts()) {
    std::size_t end = 0;
    for (const Member& member : cpp.members) {
      EXPECT_EQ(member.offset, end) << cpp.name << "." << member.name;
      end = member.offset + member.size;
    }
    EXPECT_EQ(end, cpp.size) << cpp.name;
  }
}

TEST_F(AbiLayout, NoStructIsLeftOut) {
  std::set<std::string> listed;
  for (const Layout& layout : CppLayouts()) listed.insert(layout.name);
  std::set<std::string> defined = StructsOfHeaders();
  for (const char* const never_in_a_map : {"sl_fragment_key", "sl_fragment_value"}) defined.erase(never_in_a_map);
  EXPECT_EQ(defined, listed) << "bpf/abi and the list in this file differ";
  std::set<std::string> of_maps;
  for (const auto& object : objects_) AddStructsOfMaps(object.get(), &of_maps);
  EXPECT_GE(of_maps.size(), 10u);
  EXPECT_THAT(listed, testing::IsSupersetOf(of_maps)) << "a map holds a struct that bpf/abi does not define";
}

}  // namespace
}  // namespace sluice::test
