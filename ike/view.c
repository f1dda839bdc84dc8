/* view.c - see ike_view.h. SPDX-License-Identifier: ISC */
#include "sa/exchange.h"
#include "sa/half_open.h"
#include "sa/paths.h"

enum ike_state ike_sa_state(const struct ike_sa *sa)
{
	return sa->state;
}

bool ike_sa_is_initiator(const struct ike_sa *sa)
{
	return sa->initiator;
}

uint64_t ike_sa_spi_i(const struct ike_sa *sa)
{
	return sa->spi_i;
}

uint64_t ike_sa_spi_r(const struct ike_sa *sa)
{
	return sa->spi_r;
}

const struct conn_conf *ike_sa_conn(const struct ike_sa *sa)
{
	return sa->conn;
}

const struct endpoint *ike_sa_local(const struct ike_sa *sa)
{
	return &sa->local;
}

const struct endpoint *ike_sa_remote(const struct ike_sa *sa)
{
	return &sa->remote;
}

const struct peer_proof *ike_sa_proof(const struct ike_sa *sa)
{
	return sa->proof;
}

bool ike_sa_is_trusted(const struct ike_sa *sa, const struct cred_store *creds, char *why)
{
	const struct conn_creds *new = cred_find(creds, sa->conn->name);
	const struct conn_creds *old = cred_find(sa->ike->conns.creds, sa->conn->name);

	if (!sa->proof)
		return true;
	/* Signatures are not verified again for what has not changed. */
	if (old && new &&memcmp(old->digest, new->digest, sizeof(old->digest)) == 0)
		return true;
	return proof_holds(sa->proof, new, &sa->peer_id, sa->conn->auth.revocation, why);
}

const struct ident *ike_sa_peer_id(const struct ike_sa *sa)
{
	return &sa->peer_id;
}

const char *ike_sa_ppk_id(const struct ike_sa *sa)
{
	return sa->ppk_id;
}

const struct proposal_choice *ike_sa_choice(const struct ike_sa *sa)
{
	return &sa->choice;
}

bool ike_sa_we_natted(const struct ike_sa *sa)
{
	return sa->we_natted;
}

bool ike_sa_has_mobike(const struct ike_sa *sa)
{
	return sa->mobike;
}

bool ike_sa_can_move(const struct ike_sa *sa)
{
	return paths_are_ours(sa);
}

bool ike_sa_peer_natted(const struct ike_sa *sa)
{
	return sa->peer_natted;
}

bool ike_sa_fragments(const struct ike_sa *sa)
{
	return sa->fragments;
}

unsigned ike_sa_fragment_size(const struct ike_sa *sa)
{
	return message_size(sa);
}

static uint16_t esp_port(const struct ike_sa *sa, uint16_t port)
{
	if (!ike_sa_in_udp(sa))
		return 0;
	return port == IKE_PORT ? IKE_PORT_NATT : port;
}

void ike_sa_esp_ends(const struct ike_sa *sa, struct endpoint *ret_local,
		     struct endpoint *ret_remote)
{
	*ret_local = sa->local;
	*ret_remote = sa->remote;
	ret_local->port = esp_port(sa, sa->local.port);
	ret_remote->port = esp_port(sa, sa->remote.port);
}

nsec_t ike_sa_established(const struct ike_sa *sa)
{
	return sa->established;
}

static nsec_t when(const struct deadline *d)
{
	return deadline_is_set(d) ? d->at : 0;
}

nsec_t ike_sa_rekey_at(const struct ike_sa *sa)
{
	return when(&sa->rekey);
}

nsec_t ike_sa_expires_at(const struct ike_sa *sa)
{
	return when(&sa->expire);
}

nsec_t child_sa_rekey_at(const struct child_sa *c)
{
	return when(&c->rekey);
}

nsec_t child_sa_expires_at(const struct child_sa *c)
{
	return when(&c->expire);
}

nsec_t ike_sa_last_sent(const struct ike_sa *sa)
{
	return sa->last_sent;
}

nsec_t ike_sa_last_heard(const struct ike_sa *sa)
{
	return sa->last_heard;
}

nsec_t ike_sa_began(const struct ike_sa *sa)
{
	return sa->began;
}

nsec_t ike_sa_called(const struct ike_sa *sa)
{
	return sa->called;
}

const struct cp_config *ike_sa_config(const struct ike_sa *sa)
{
	return sa->config;
}

bool ike_sa_is_asking(const struct ike_sa *sa)
{
	return sa->outstanding != NULL;
}

nsec_t ike_sa_request_since(const struct ike_sa *sa)
{
	return sa->window.request_since;
}

uint32_t ike_sa_next_id(const struct ike_sa *sa)
{
	return sa->window.next_id;
}

bool ike_sa_watches_answer(const struct ike_sa *sa)
{
	return sa->watch_answer;
}

bool ike_sa_unresolved(const struct ike_sa *sa)
{
	return sa->unresolved;
}

bool ike_sa_unanswered(const struct ike_sa *sa)
{
	return sa->unanswered;
}

void *ike_sa_owner(const struct ike_sa *sa)
{
	return sa->owner;
}

void ike_sa_set_owner(struct ike_sa *sa, void *owner)
{
	sa->owner = owner;
}

struct ike_sa *ike_first_sa(const struct ike *ike)
{
	return ike->sas;
}

struct ike_sa *ike_next_sa(const struct ike_sa *sa)
{
	return sa->hh.next;
}

unsigned ike_sa_count(const struct ike *ike)
{
	return HASH_COUNT(ike->sas);
}

struct ike_sa *ike_first_sa_at(const struct ike *ike, const struct addr *remote)
{
	return addr_index_first(ike, remote);
}

struct ike_sa *ike_next_sa_at(const struct ike_sa *sa)
{
	return LIST_NEXT(sa, address_link);
}

unsigned ike_half_open(const struct ike *ike)
{
	return ike->half_open;
}

const struct ike_settings *ike_settings_of(const struct ike *ike)
{
	return &ike->set;
}

enum child_state child_sa_state(const struct child_sa *c)
{
	return c->state;
}

struct ike_sa *child_sa_ike(const struct child_sa *c)
{
	return c->ike_sa;
}

const struct child_conf *child_sa_conf(const struct child_sa *c)
{
	return c->conf;
}

uint32_t child_sa_spi_in(const struct child_sa *c)
{
	return c->spi_in;
}

uint32_t child_sa_spi_out(const struct child_sa *c)
{
	return c->spi_out;
}

const struct proposal_choice *child_sa_choice(const struct child_sa *c)
{
	return &c->choice;
}

const struct ts_list *child_sa_local(const struct child_sa *c)
{
	return c->local;
}

const struct ts_list *child_sa_remote(const struct child_sa *c)
{
	return c->remote;
}

enum child_end child_sa_end(const struct child_sa *c)
{
	if (c->ike_sa->unanswered)
		return CHILD_END_SILENT;
	return c->deleted_by_peer || c->ike_sa->deleted_by_peer ? CHILD_END_PEER : CHILD_END_OTHER;
}

bool child_sa_is_initiator(const struct child_sa *c)
{
	return c->initiator;
}

bool child_sa_is_replaced(const struct child_sa *c)
{
	return c->successor;
}

bool child_sa_confirmed(const struct child_sa *c)
{
	return c->confirmed;
}

bool child_sa_voided(const struct child_sa *c)
{
	return c->voided;
}

void *child_sa_owner(const struct child_sa *c)
{
	return c->owner;
}

void child_sa_set_owner(struct child_sa *c, void *owner)
{
	c->owner = owner;
}

struct child_sa *ike_first_child(const struct ike_sa *sa)
{
	return LIST_FIRST(&sa->children);
}

struct child_sa *ike_next_child(const struct child_sa *c)
{
	return LIST_NEXT(c, link);
}
