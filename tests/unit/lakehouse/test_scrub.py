"""What identifies a person leaves the text; what describes the trouble stays."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.scrub import scrub

SEPARATORS = ("*", ",", ", ", "|", " | ", "·", ":", "\n", "\r\n", "\t", " * ", "_", "&nbsp;", "/")
IDENTIFYING = [
    ("Write to wendy.zhao+bank@mail.example.ca please", "Write to [e-mail] please"),
    ("wendy (at) example (dot) com", "[e-mail]"),
    ("zoë@exämple.de wrote", "[e-mail] wrote"),
    ("Card 4111 1111 1111 1111 was eaten", "Card [card] was eaten"),
    ("4111-1111-1111-1111.", "[card]."),
    ("amex 378282246310005 declined", "amex [card] declined"),
    ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "[card]"),
    ("４１１１１１１１１１１１１１１１ wide digits", "[card] wide digits"),
    ("4111\u200b1111\u200b1111\u200b1111 cut apart", "[card] cut apart"),
    ("4111\u20111111\u20111111\u20111111", "[card]"),
    # The first sixteen digits pass for a card as well: what is left of the real one must go too.
    ("Ticket 4007. 4565 5215 1002 4239", "Ticket [card]"),
    ("my card number is 1234 5678 9012 3456", "my card number is [account]"),
    ("SIN 046 454 286", "SIN [SIN]"),
    ("it is 046454286.", "it is [SIN]."),
    ("my SIN is 123-456-789", "my SIN is [SIN]"),
    ("Transit 00012-001-1234567", "Transit [account]"),
    ("account number: 1234567", "account number: [account]"),
    ("IBAN DE89 3704 0044 0532 0130 00", "IBAN [account]"),
    ("IBAN DE89 3704 0044 0532 0130 00 never came", "IBAN [account] never came"),
    ("sent from gb29NWBK60161331926819 last week", "sent from [account] last week"),
    ("call 416-555-0199 now", "call [phone] now"),
    ("call (604) 555-0147", "call [phone]"),
    ("+1 514 555 0123", "[phone]"),
    ("text me at 5551234", "text me at [phone]"),
    ("ring 4169671111", "ring [phone]"),
    ("+44 20 7946 0958", "[phone]"),
    ("I live at M5V 3L9", "I live at [postal code]"),
    ("k1a0b1", "[postal code]"),
    ("customer id 23", "customer id [customer id]"),
    ("customer_id=23", "customer_id=[customer id]"),
    ('"customer_id": 23', '"customer_id": [customer id]'),
    ("I am customer 23", "I am customer [customer id]"),
    ("client no. 4711 here", "client no. [customer id] here"),
    ("Wendy Zhao · #23", "Wendy Zhao · #[customer id]"),
    *((f"card 4539{sep}5787{sep}6362{sep}1486 gone", "card [card] gone") for sep in SEPARATORS),
    ('4539<td class="a">5787<td>6362<td>1486', "[card]"),
    ("3782*822463*10005", "[card]"),
    ("<b>4539</b> <b>5787</b> <b>6362</b> <b>1486</b>", "<b>[card]</b>"),
    ("4539<br/>5787<br>6362<br />1486", "[card]"),
    ("046-454286", "[SIN]"),
    ("046454 286", "[SIN]"),
    ("0464 54286", "[SIN]"),
    ("046,454,286", "[SIN]"),
    ("SIN: 123,456-789", "SIN: [SIN]"),
    ("call 416\n555\n0199", "call [phone]"),
    ("416-555\n0199", "[phone]"),
    ("call me at 416, 555, 0199 please", "call me at [phone] please"),
    ("call 416, 555-0199", "call [phone]"),
    ("call 416,555,0199", "call [phone]"),
    ("+1%20416%20555%200199", "[phone]"),
    *(
        (f"at M5V{sep}3L9 now", "at [postal code] now")
        for sep in ("\n", "   ", ".", "/", "_", ", ")
    ),
    ("customer id (90817263)", "customer id ([customer id])"),
    ("customer id [90817263]", "customer id [[customer id]]"),
    ("customer id **90817263**", "customer id **[customer id]**"),
    ("customer id is number 90817263", "customer id is number [customer id]"),
    ("customer ids: 90817263", "customer ids: [customer id]"),
    ("customer ID 9081 7263", "customer ID [customer id]"),
    ("I am client 90817263", "I am client [customer id]"),
    ("customer (90817263)", "customer ([customer id])"),
    ("client no. (4711)", "client no. ([customer id])"),
    ("client n° 4711", "client n° [customer id]"),
    ("mon numéro de client est le 4711", "mon numéro de client est le [customer id]"),
    ("no de client 4711", "no de client [customer id]"),
    ("customer 9081 7263 here", "customer [customer id] here"),
    ("customer's id 90817263", "customer's id [customer id]"),
    ("customer identification number 90817263", "customer identification number [customer id]"),
    ("client code 90817263", "client code [customer id]"),
    ("identifiant client : 4711", "identifiant client : [customer id]"),
    ("jane%40plantmail.com", "[e-mail]"),
    ("jane%40plantmail%2Ecom", "[e-mail]"),
    ("jane&#64;plantmail.com", "[e-mail]"),
    ("jane&#x40;plantmail&period;com", "[e-mail]"),
    ("jane(at)plantmail.com", "[e-mail]"),
    ("jane<at>plantmail<dot>com", "[e-mail]"),
    ("jane [at] plantmail.com", "[e-mail]"),
    ("jane[@]plantmail[.]com", "[e-mail]"),
    ("jane@plantmail(dot)com", "[e-mail]"),
    ("jane@plantmail . com", "[e-mail]"),
    ("jane @ mail . plantmail . ca", "[e-mail]"),
    ("jane (dot) doe (at) plantmail (dot) com", "[e-mail]"),
    ("jane dot doe at plantmail dot com", "[e-mail]"),
    ("jane arobase exemple point ca", "[e-mail]"),
    # Escaped once more than it was read.
    (r"Hi,\ncustomer id 90817263\nM5V 3L9", r"Hi,\ncustomer id [customer id]\n[postal code]"),
    (r"jane\u0040plantmail.com, \"account\": \"1234567\"", r"[e-mail], \"account\": \"[account]\""),
]

HARMLESS = [
    "I asked for $200 at the ATM and got nothing.",
    "It happened on 2026-11-24 13:45:01 at machine 12.",
    "I have been a customer 23 years.",
    "Charged $1,234.50 twice, on 3 and 4 November 2026.",
    "I waited 45 minutes, 3 times, in 2025.",
    "Error 5051 on the screen, ATM #12.",
    "My rate went from 4.25% to 5.125%.",
    "The card ending in 4821 was declined.",
    "Reference 1000-22.",
    "Meet me at the branch. Dot your i's.",
    "Paid 250, 300, 1200 and 4500, 4600, 4700 dollars in 2019, 2020, 2021, 2022.",
    "$4,539.57, $8,763.62, $1,486.00 and 146 454 dollars",
    "I spoke by phone on 2026-11-24 13:45:01.",
    "On my account 2026-11-24 says 13:45.",
    "Reference 046-454286, ticket no. 0464 54286, order 046454 286.",
    "Reference 2026-00482, batch 2026 11241.",
    "Version 7.14.2, build 20611, at 10.0.19045.3803.",
    "Session 00000170-0000-4000-8000-000000000abc, 3f0c9d6e-8f5b-4c1a-9a52-0d2c0f6f1b11.",
    "Transaction 40455765-1231-4452-8453-957876362148 failed.",
    "I have been a client 12 years, a customer (20 years) and a client 500 days.",
    "As a client, 300 dollars are much. Client 1500 $ short.",
    "Mail me @ noon. Look at bmo.com, it is 100% wrong, 5%20 or <b>3</b> of 10.",
    "Bought 2 tickets @ 5.50 each.",
    "On 2026-01-02  44.13 % were due.",
    "On 2026-07-23  8/1/2026 I got nothing.",
    "The app says version 13.10.2237\nor build 13.9.9931.",
    "I met @bmo. Nobody answered.",
    "It is 4:39, 5:57, 8:76 or C:\\new\\table.",
    "2026-11-24, 13:45:01: 100.50; 2026-11-25, 13:45:02: 200.50",
    "",
]


@pytest.mark.parametrize(("text", "expected"), IDENTIFYING)
def test_what_identifies_a_person_goes(text: str, expected: str) -> None:
    assert scrub(text) == expected


@pytest.mark.parametrize("text", HARMLESS)
def test_what_describes_the_trouble_stays(text: str) -> None:
    assert scrub(text) == text


def test_several_kinds_in_one_text() -> None:
    text = "I'm client #7, 416-555-0199, a@b.ca, card 5555 5555 5555 4444, M5V 3L9."
    assert scrub(text) == (
        "I'm client #[customer id], [phone], [e-mail], card [card], [postal code]."
    )


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="0123456789 -@.abcM5V()+#ée\u200b４customer\n,*\\n%&;<>", max_size=80))
def test_scrubbing_twice_changes_nothing_more(text: str) -> None:
    once = scrub(text)
    assert scrub(once) == once


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "a",
            "1",
            "1 ",
            "1-",
            "a.",
            "@",
            "a@",
            "(",
            "customer ",
            "at ",
            "dot ",
            "a dot ",
            "a(at)",
        ),
        *(
            "(dot)",
            "1234 ",
            "1234\n",
            "client no. ",
            "customer id ",
            "\n",
            "&#",
            "%40",
            "\\u",
            "<b>",
        ),
        *("card is ", "M5V ", "a@b . ", "a.b dot ", "numéro de "),
    ],
)
def test_no_text_takes_long(piece: str) -> None:
    started = time.process_time()
    scrub(piece * (10_000 // len(piece)))
    assert time.process_time() - started < 5
