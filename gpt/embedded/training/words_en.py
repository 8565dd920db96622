# ruff: noqa: E501, SIM905 - vocabulary reads better in long lines
# fmt: off
"""Hand-written English vocabulary of work: who acts, on what, how. Breadth beyond it comes from the word lists."""

HUMANS = """customer client buyer seller salesman accountant manager director supervisor technician operator picker driver courier supplier vendor
doctor nurse patient pharmacist surgeon secretary receptionist agent adviser candidate recruiter employee trainee trainer student teacher principal
parent librarian reader subscriber user citizen applicant mayor officer clerk judge lawyer notary tenant landlord owner architect builder electrician
plumber developer tester administrator analyst auditor inspector expert insurer broker banker teller cashier cook waiter waitress chef baker farmer vet
volunteer organizer participant host president treasurer moderator editor writer reviewer publisher translator photographer journalist traveler passenger
pilot steward customs-officer firefighter policeman witness visitor guard consultant donor member mechanic shopkeeper engineer designer researcher
product-owner team-leader project-manager sales-manager team-lead storekeeper warehouse-worker machinist chairman assistant-manager boss worker""".split()

TEAMS = """the support team|the sales team|the finance team|the legal team|the technical team|the warehouse|the store|the lab|the bank|the insurance company|the city hall
the board|the committee|the jury|the court|the front desk|the kitchen|the pharmacy|human resources|accounting|purchasing|production|the quality team|logistics
customer service|the help desk|the office|the school|the hospital|the security team|the maintenance team|the shipping department|the night shift|the factory
the marketing team|the design team|the delivery team|the service desk|our team|the whole team|the agency|headquarters|the crew|the shop|the back office""".replace(
    "\n", "|"
).split("|")

SYSTEMS = """the system|the software|the application|the platform|the website|the server|the database|the robot|the machine|the sensor|the portal|the tool
the payment module|the search engine|the API|the script|the program|the printer|the terminal|the kiosk|the badge reader|the computer|the payroll software
the mobile app|the app|the payment gateway|the workflow|the mail server|the web shop|the scheduler|the firewall|the scanner|the pipeline|the alarm
the booking system|the ticketing system|the build server|the monitoring tool|the thermostat|the dispatcher program|the service|the billing system""".replace(
    "\n", "|"
).split("|")

AIS = """the AI|the model|the assistant|the virtual assistant|the chatbot|the language model|the algorithm|the AI agent|the neural network|the prediction model
the voice assistant|the classifier|artificial intelligence""".replace("\n", "|").split("|")

OBJECTS = """file quote order contract report form document letter email message parcel package stock product item basket payment transfer check refund
account badge ticket incident call appointment schedule calendar budget statement spreadsheet register inventory receipt certificate notice agreement
permit passport visa code patch server screen cable test sample treatment diagnosis scan diet dish menu cake oven tray homework exam course exercise
book loan rent lease apartment site plan wall roof engine vehicle truck load box dock route trip flight bag seat event booth speech article project
requirement prototype launch profile interview salary leave payslip appeal ruling record claim receipt password access return defect gap risk invoice
request delivery complaint card address offer application list price tax discount warranty part failure alert backup version update configuration query
answer question decision meeting note survey prescription analysis room operation visit recipe sauce dough table reservation lesson copy class
permission signature declaration proof fine policy bonus deadline deposit key label pallet shipment tour step poster invitation campaign translation
photo mockup solution mission task priority training evaluation absence anomaly correction cause measure procedure reminder debt expense grant feature bug
release branch change idea design sketch budget proposal""".split()

COMPLEMENTS = """to the customer|to the manager|to the office|in the system|in the database|by email|by phone|by mail|online|on site|with the customer|with care
to the supplier|to the team|at the front desk|in the register|on the website|in the store|in the warehouse|on the dock|to the patient|for approval|for review
for signature|within two days|before noon|before the end of the month|by hand|in the folder|on the shelf|in the oven|for ten minutes|with the file|to the judge
to the bank|in the tool|every morning|every week|on paper|to the shop|to the client|from the shelf|into a box|on the truck|with a label|over the phone""".replace(
    "\n", "|"
).split("|")

ADJECTIVES = """complete incomplete available valid correct urgent new signed paid ready empty full closed open missing broken damaged accepted refused
confirmed expired high low important monthly yearly weekly electronic final draft initial detailed technical legal medical internal external wrong right big small""".split()

TIME_ADVERBS = """every morning|the next day|on Monday|at nine|within a day|after two days|at the end of the month|the same day|immediately|right away|quickly|usually
in most cases|in general|at that point|a week later|as usual|without delay|in practice|at this stage""".replace(
    "\n", "|"
).split("|")

# base 3rd past participle -ing
IRREGULAR = """send sends sent sent sending
receive receives received received receiving
make makes made made making
take takes took taken taking
write writes wrote written writing
read reads read read reading
give gives gave given giving
get gets got got getting
pay pays paid paid paying
buy buys bought bought buying
sell sells sold sold selling
build builds built built building
find finds found found finding
keep keeps kept kept keeping
put puts put put putting
set sets set set setting
choose chooses chose chosen choosing
bring brings brought brought bringing
hold holds held held holding
tell tells told told telling
do does did done doing
run runs ran run running
see sees saw seen seeing
cut cuts cut cut cutting
draw draws drew drawn drawing
freeze freezes froze frozen freezing
submit submits submitted submitted submitting
ship ships shipped shipped shipping
stop stops stopped stopped stopping
plan plans planned planned planning
pack packs packed packed packing
wrap wraps wrapped wrapped wrapping
get gets got got getting
pick picks picked picked picking
test tests tested tested testing
leave leaves left left leaving
meet meets met met meeting
begin begins began begun beginning
lose loses lost lost losing"""

REGULAR = """check verify validate prepare create record sign deliver dispatch invoice refund order book confirm cancel modify analyze study examine
evaluate estimate calculate file archive publish print scan copy deploy install configure repair replace assemble sort store load unload transport
distribute schedule organize present propose negotiate accept refuse reject approve authorize block unblock activate notify inform alert contact remind
consult ask answer diagnose treat administer monitor guide train recruit hire invite grade correct slice mix add pour heat cool taste serve open close
settle declare report assign share save restore delete search identify locate detect measure inspect certify label collect gather summarize process
execute start deposit withdraw exchange charge credit debit insure compensate visit rent clean wash cover display import export generate compare adjust
adapt draft vote adopt issue stamp forward review update complete fill mark move call email fix handle log enter track plan describe merge launch release
discuss explain decide return request upload download register transfer escalate resolve attach""".split()

CHATTER = """Welcome to this meeting.|Welcome everyone.|That is very clear.|I agree with you.|We will talk about it next week.|Let us talk about it later.|Many people ask us about that.|That is a good question.|Is everyone here?|I think so too.|We can stop here.|This happens every day.|It was not easy last year.
Hello everyone.|Good morning, thanks for coming.|Thank you all.|That is all for today.|Nothing very complicated.|It has worked well for years.
Everybody knows this procedure.|This procedure has been in force since 2019.|It applies to all sites.|The average delay is three days.|We talk about it often.
This is important to us.|It takes about an hour.|It is not always easy.|The teams are happy with it.|There were some problems last year.|Let me explain how it works.
Here is how we proceed.|The process is simple.|This is how it goes.|For information, this text will be revised in June.|Please follow these rules.|Have a nice day.
Best regards.|See you soon.|It depends on the season.|This is a delicate step.|This point is essential.|Feel free to ask questions.|The weather is nice today.
This year, volume has doubled.|Nobody likes waiting.|Our company has twelve employees.|Quality remains our priority.|Delays are short in December.""".replace(
    "\n", "|"
).split("|")

TITLES = """Procedure: {n}|{N} process|How to handle a {n}|Steps of the {n}|{N} handling|Work instruction – {n}|The {n} workflow""".split(
    "|"
)

FIRST_NAMES = """Alice Bob Carol David Emma Frank Grace Henry Irene Jack Karen Liam Mary Nathan Olivia Peter Quinn Rachel Sam Tina Victor Wendy Zoe Adam Bella
Charles Diana Edward Fiona George Hannah Ian Julia Kevin Laura Mark Nora Oscar Paula Robert Susan Tom Anna Ben Chris Ellen John Kate Lucy Max""".split()

# intransitive and light-verb predicates: base | third | ing
IDIOMS = [
    dict(zip(("base", "third", "ing"), line.split("|"), strict=True))
    for line in """log in|logs in|logging in
sign up|signs up|signing up
place an order|places an order|placing an order
make a payment|makes a payment|making a payment
pay|pays|paying
arrive|arrives|arriving
wait|waits|waiting
answer|answers|answering
decide|decides|deciding
go to the front desk|goes to the front desk|going to the front desk
come back|comes back|coming back
make an appointment|makes an appointment|making an appointment
get in touch|gets in touch|getting in touch
give an opinion|gives an opinion|giving an opinion
open a ticket|opens a ticket|opening a ticket
fill in the form|fills in the form|filling in the form
call for help|calls for help|calling for help
pick a date|picks a date|picking a date
enter the code|enters the code|entering the code
restart|restarts|restarting
send a message|sends a message|sending a message
let the dough rest|lets the dough rest|letting the dough rest
put the cake in the oven|puts the cake in the oven|putting the cake in the oven
write back|writes back|writing back
look at the file|looks at the file|looking at the file
set up a meeting|sets up a meeting|setting up a meeting
put the order on hold|puts the order on hold|putting the order on hold
send it back|sends it back|sending it back
take the parcel to the dock|takes the parcel to the dock|taking the parcel to the dock
get an email|gets an email|getting an email
take part in the meeting|takes part in the meeting|taking part in the meeting""".splitlines()
]
